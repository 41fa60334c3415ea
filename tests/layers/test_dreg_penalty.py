import keras
import numpy as np
import pytest

from keras_lbreg.layers.dreg_penalty import dreg_penalty, kernel_distance
from tests.checks.variable_gradients import gradients

RNG = np.random.default_rng(0)
RIGHT = RNG.normal(size=(3, 4)).astype("float32")
LEFT = RNG.normal(size=(3, 4)).astype("float32")
SQUARED = np.sum((RIGHT - LEFT) ** 2)
NORMS = np.sum(RIGHT**2) + np.sum(LEFT**2)


def penalty_and_gradients(**kwargs):
    kernels = [keras.Variable(RIGHT), keras.Variable(LEFT)]
    return gradients(lambda: dreg_penalty(*kernels, **kwargs), kernels)


def test_kernel_distance():
    np.testing.assert_allclose(
        kernel_distance(RIGHT, LEFT), np.sqrt(SQUARED), rtol=1e-6
    )


def test_frobenius_is_the_published_penalty():
    value, (right, left) = penalty_and_gradients(
        weight=0.3, distance="frobenius"
    )
    np.testing.assert_allclose(value, -0.3 * SQUARED, rtol=1e-6)
    np.testing.assert_allclose(right, -0.6 * (RIGHT - LEFT), rtol=1e-5)
    np.testing.assert_allclose(left, 0.6 * (RIGHT - LEFT), rtol=1e-5)


def test_relative_is_bounded_and_scale_free():
    value, (right, left) = penalty_and_gradients(weight=0.3)
    np.testing.assert_allclose(value, -0.3 * SQUARED / NORMS, rtol=1e-6)
    np.testing.assert_allclose(
        dreg_penalty(1e3 * RIGHT, 1e3 * LEFT, 0.3), value, rtol=1e-5
    )
    np.testing.assert_allclose(
        dreg_penalty(RIGHT, -RIGHT, 0.3), -0.6, rtol=1e-6
    )
    # Quotient rule, by hand.
    difference = RIGHT - LEFT
    np.testing.assert_allclose(
        right,
        -0.3 * 2 * (difference / NORMS - SQUARED * RIGHT / NORMS**2),
        rtol=1e-4,
    )
    # Orthogonal to the kernels: the penalty does not pull at their norm.
    along = np.sum(right * RIGHT) + np.sum(left * LEFT)
    assert abs(along) < 1e-6


@pytest.mark.parametrize("distance", ["frobenius", "relative"])
def test_no_gradient_beyond_the_cap(distance):
    norm = np.sqrt(SQUARED)
    free, free_gradients = penalty_and_gradients(weight=1.0, distance=distance)
    for cap, factor in [(1.01 * norm, 1.0), (0.99 * norm, 0.0)]:
        value, found = penalty_and_gradients(
            weight=1.0, distance=distance, max_distance=float(cap)
        )
        np.testing.assert_allclose(value, free, rtol=1e-6)
        for a, b in zip(found, free_gradients, strict=True):
            np.testing.assert_allclose(a, factor * b, rtol=1e-6)


def test_kernels_of_zeros_are_at_distance_zero():
    zeros = np.zeros((2, 2), "float32")
    assert float(dreg_penalty(zeros, zeros, 1.0)) == 0.0


def test_half_precision_kernels_are_compared_in_float32():
    right = keras.ops.cast(RIGHT, "bfloat16")
    left = keras.ops.cast(LEFT, "bfloat16")
    penalty = dreg_penalty(right, left, 1.0, "frobenius")
    assert keras.backend.standardize_dtype(penalty.dtype) == "float32"


def descend(
    steps, learning_rate=0.1, momentum=0.9, size=(3, 3, 64, 64), **kwargs
):
    """Sizes of the difference under heavy-ball descent on the penalty alone."""
    rng = np.random.default_rng(1)
    scale = np.sqrt(2 / np.prod(size[:-1]))
    kernel = scale * rng.normal(size=size)
    twin = kernel + 0.01 * scale * rng.normal(size=size)
    kernels = [keras.Variable(k.astype("float32")) for k in (kernel, twin)]
    velocities = [0.0, 0.0]
    sizes = []
    for _ in range(steps):
        _, found = gradients(lambda: dreg_penalty(*kernels, **kwargs), kernels)
        for i, gradient in enumerate(found):
            velocities[i] = momentum * velocities[i] - learning_rate * gradient
            kernels[i].assign(
                keras.ops.convert_to_numpy(kernels[i]) + velocities[i]
            )
        sizes.append(float(kernel_distance(*kernels)))
    return sizes


def heavy_ball_factor(weight, learning_rate, momentum):
    """Growth of D a step: the larger root of z² − (1 + m + 4λη) z + m."""
    b = 1 + momentum + 4 * weight * learning_rate
    return (b + np.sqrt(b**2 - 4 * momentum)) / 2


@pytest.mark.parametrize(
    ("weight", "learning_rate", "momentum", "factor"),
    [
        (0.1, 0.1, 0.0, 1.040),
        (0.1, 0.1, 0.9, 1.172),
        (0.01, 0.1, 0.9, 1.031),
        (0.01, 0.4, 0.9, 1.091),
    ],
)
def test_the_published_penalty_grows_by_a_constant_factor(
    weight, learning_rate, momentum, factor
):
    sizes = descend(
        60,
        learning_rate,
        momentum,
        size=(3, 3, 4, 4),
        weight=weight,
        distance="frobenius",
    )
    expected = heavy_ball_factor(weight, learning_rate, momentum)
    assert expected == pytest.approx(factor, abs=1e-3)
    assert sizes[-1] / sizes[-2] == pytest.approx(expected, abs=2e-3)


def test_the_default_penalty_does_not_explode():
    size = (3, 3, 4, 4)
    sizes = descend(300, size=size, weight=0.1)
    kernel_norm = np.sqrt(2 / 36 * np.prod(size))
    assert sizes[-1] < 10 * kernel_norm
    assert sizes[-1] / sizes[-2] < 1.001
