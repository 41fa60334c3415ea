import keras
import numpy as np
import pytest

import keras_lbreg
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


def bounded(right, left, initial_size=NORMS, weight=0.3):
    return dreg_penalty(right, left, weight, "bounded", initial_size)


def test_bounded_is_the_published_penalty_at_the_start():
    value, (right, left) = penalty_and_gradients(
        weight=0.3, distance="bounded", initial_size=NORMS
    )
    np.testing.assert_allclose(value, -0.3 * SQUARED, rtol=1e-6)
    # Quotient rule, by hand, with a sum of squares of n_0.
    difference = RIGHT - LEFT
    for found, kernel, sign in ((right, RIGHT, 1), (left, LEFT, -1)):
        np.testing.assert_allclose(
            found,
            -0.6 * (sign * difference - SQUARED / NORMS * kernel),
            rtol=1e-4,
            atol=1e-5,
        )
    # Orthogonal to the pair: the penalty does not make the kernels grow.
    along = np.sum(right * RIGHT) + np.sum(left * LEFT)
    assert abs(along) < 1e-4


def test_bounded_does_not_depend_on_the_scale_and_ends_at_twice_n0():
    value = bounded(RIGHT, LEFT)
    np.testing.assert_allclose(
        bounded(1e3 * RIGHT, 1e3 * LEFT), value, rtol=1e-5
    )
    np.testing.assert_allclose(bounded(RIGHT, -RIGHT), -0.6 * NORMS, rtol=1e-6)
    rng = np.random.default_rng(1)
    for _ in range(20):
        pair = rng.normal(size=(2, 3, 4)).astype("float32")
        assert -0.6 * NORMS * (1 + 1e-6) <= float(bounded(*pair)) <= 0


@pytest.mark.parametrize("distance", ["frobenius", "bounded"])
def test_no_gradient_beyond_the_cap(distance):
    norm = np.sqrt(SQUARED)
    free, free_gradients = penalty_and_gradients(
        weight=1.0, distance=distance, initial_size=NORMS
    )
    for cap, factor in [(1.01 * norm, 1.0), (0.99 * norm, 0.0)]:
        value, found = penalty_and_gradients(
            weight=1.0,
            distance=distance,
            initial_size=NORMS,
            max_distance=float(cap),
        )
        np.testing.assert_allclose(value, free, rtol=1e-6)
        for a, b in zip(found, free_gradients, strict=True):
            np.testing.assert_allclose(a, factor * b, rtol=1e-6)


def test_kernels_of_zeros_are_at_distance_zero():
    zeros = np.zeros((2, 2), "float32")
    assert float(bounded(zeros, zeros)) == 0.0


def test_half_precision_kernels_are_compared_in_float32():
    right = keras.ops.cast(RIGHT, "bfloat16")
    left = keras.ops.cast(LEFT, "bfloat16")
    penalty = dreg_penalty(right, left, 1.0, "frobenius")
    assert keras.backend.standardize_dtype(penalty.dtype) == "float32"


@pytest.mark.tensorflow  # JAX has no float64 unless it is enabled.
def test_float64_kernels_are_compared_in_float64():
    right, left = RIGHT.astype("float64"), LEFT.astype("float64")
    squared = np.sum((right - left) ** 2)
    size = np.sum(right**2) + np.sum(left**2)
    for distance in ("frobenius", "bounded"):
        found = dreg_penalty(right, left, 0.3, distance, size)
        assert keras.backend.standardize_dtype(found.dtype) == "float64"
        np.testing.assert_allclose(found, -0.3 * squared, rtol=1e-14)
    np.testing.assert_allclose(
        kernel_distance(right, left), np.sqrt(squared), rtol=1e-14
    )


def descend(
    steps,
    learning_rate=0.1,
    momentum=0.9,
    size=(3, 3, 64, 64),
    **kwargs,
):
    """Sizes of the difference under heavy-ball descent on the penalty alone."""
    rng = np.random.default_rng(1)
    scale = np.sqrt(2 / np.prod(size[:-1]))
    kernel = scale * rng.normal(size=size)
    twin = kernel + 0.01 * scale * rng.normal(size=size)
    kernels = [keras.Variable(k.astype("float32")) for k in (kernel, twin)]
    kwargs["initial_size"] = np.sum(kernel**2) + np.sum(twin**2)
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


@pytest.mark.parametrize(
    ("rate", "ratio", "growth"), [(0.1, 2.0, 1.2), (0.01, 0.098, 1.0)]
)
def test_600_steps_of_the_default_in_a_layer(rate, ratio, growth):
    """‖W_R − W_L‖ / ‖W_R‖, and how ‖W_R‖ grows, as the card has them."""
    layer = keras_lbreg.DRegConv2D(64, 3, use_bias=False, seed=1)
    model = keras.Sequential(
        [
            keras.Input((3, 3, 64)),
            layer,
            keras.layers.Flatten(),
            # No gradient of the data: the penalty alone moves the kernels.
            keras.layers.Dense(1, kernel_initializer="zeros", trainable=False),
        ]
    )
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), "mse")
    before = np.linalg.norm(layer.kernel)
    x, y = np.ones((1200, 3, 3, 64), "float32"), np.zeros((1200, 1))
    model.fit(x, y, batch_size=2, verbose=0)
    assert int(model.optimizer.iterations) == 600
    right, left = (np.asarray(k) for k in (layer.kernel, layer.kernel_left))
    after = np.linalg.norm(right)
    assert np.linalg.norm(right - left) / after == pytest.approx(
        ratio, rel=0.02
    )
    assert after / before == pytest.approx(growth, rel=0.05)
