"""What recipes measure, against formulas and at tiny scale."""

import dataclasses

import keras
import numpy as np
import pytest
import scipy.stats

import keras_lbreg
from keras_lbreg.data import load_dataset
from recipes import paper
from recipes.__main__ import load
from recipes.gradient_mix_2023 import mixing_noise
from recipes.gradient_mix_2023.configuration import GROUPS
from recipes.jaiswal_taura.configuration import DIGITS
from recipes.jaiswal_taura.interpolation import measure_interpolation
from recipes.jaiswal_taura.noise_size import (
    POINTS,
    added_noise,
    matching_alpha,
    measure_noise_size,
    minibatch_noise,
)
from recipes.yuan_2020 import growth, kernels
from tests.recipes import recorded


@pytest.mark.parametrize("concentration", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("groups", [2, 8])
def test_predicted_covariance_is_that_of_the_dirichlet_law(
    groups, concentration
):
    random = np.random.default_rng(1)
    gradients = random.normal(size=(groups, 5))
    law = scipy.stats.dirichlet([concentration] * groups)
    exact = gradients.T @ law.cov() @ gradients
    centered = gradients - gradients.mean(axis=0)
    factor = mixing_noise.predicted_factor(groups, concentration)
    np.testing.assert_allclose(
        factor * centered.T @ centered / groups, exact, atol=1e-12
    )
    weights = mixing_noise.mixing_weights(3, groups, concentration, 500)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
    found = mixing_noise.compare_noise(gradients, weights, concentration)
    mixed = weights @ gradients - gradients.mean(axis=0)
    np.testing.assert_allclose(
        found["trace"], np.mean(np.sum(mixed**2, axis=1)), rtol=1e-5
    )
    np.testing.assert_allclose(found["trace_formula"], np.trace(exact))
    assert abs(found["trace_error"]) < 4 * found["trace_standard_error"]


def test_the_effective_batch_is_that_of_the_exact_noise():
    # The noise of weights w on K groups is that of the batch, K sum w^2 times.
    for k in GROUPS:
        for c in (0.1, 1.0, 10.0):
            weights = scipy.stats.dirichlet([c] * k)
            squares = k * np.sum(weights.var() + weights.mean() ** 2)
            share = mixing_noise.predicted_share(k, c)
            assert share == pytest.approx(1 / squares)
    random = np.random.default_rng(4)
    groups = random.normal(size=(4000, 32, 3)) + 1.0
    small = np.mean(np.sum(groups**2, axis=2), axis=1)
    big = np.sum(groups.mean(axis=1) ** 2, axis=1)
    # A plain mean has its own batch.
    share, error = mixing_noise.measured_share(big, small, big)
    assert share == pytest.approx(1.0)
    assert error < 1e-6
    gradients = random.normal(size=(10, 4))
    samples = random.integers(10, size=12)
    means = gradients[samples].reshape(4, 3, 4).mean(axis=1)
    products = gradients @ gradients.T
    products = mixing_noise.local_products(products, samples, 4)
    np.testing.assert_allclose(products, means @ means.T)


def test_a_training_step_takes_the_mixed_gradient():
    dataset = load_dataset("digits")
    layers = [keras.layers.Flatten(), keras.layers.Dense(dataset.classes)]
    model = keras.Sequential([keras.Input(dataset.input_shape), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss)
    samples = np.arange(64)
    gradients = mixing_noise.local_gradients(
        model, dataset, samples.reshape(4, 16)
    )
    error = mixing_noise.training_error(
        model, dataset, samples, gradients, seed=1, concentration=0.5
    )
    assert error < 1e-5


def test_noise_of_a_linear_model_is_that_of_sampling_theory():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 3)).astype("float32")
    y = generator.normal(size=(400, 1)).astype("float32")
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, use_bias=False)]
    )
    model.compile(loss="mse")
    w = np.asarray(model.trainable_variables[0], "float64")
    gradients = 2 * (x @ w - y) * x
    # Without replacement: S / B (N - B) / (N - 1).
    expected = gradients.var(axis=0).sum() / 40 * 360 / 399
    noise, signal = minibatch_noise(model, x, y, 40, batches=1500)
    assert noise == pytest.approx(expected, rel=0.1)
    exact = np.sum(gradients.mean(axis=0) ** 2)
    assert signal == pytest.approx(exact, rel=0.1)
    with pytest.raises(ValueError, match="Expected at most the number"):
        minibatch_noise(model, x, y, 401)
    # What is added at the matching alpha is what is missing.
    alpha = matching_alpha(0.25, 0.1, parameters=1000, updates=99)
    assert added_noise(1000, 99, alpha) == pytest.approx(0.25 - 0.1)


@pytest.mark.tensorflow
def test_jaiswals_measurements_at_tiny_scale(tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "WORK", tmp_path)
    tiny = dataclasses.replace(DIGITS, name="tiny", epochs=2, batches=(128,))
    line = measure_interpolation(tiny, list, seeds=1)
    assert line["positions"][8] == 0.0
    assert np.all(np.isfinite(line["lines"][0]["loss"]["val"]))
    points = [(tiny.comparison(128, "x01"), 1)]
    monkeypatch.setitem(POINTS, "tiny", (points, 1))
    [row] = measure_noise_size("tiny", list)["rows"]
    assert row["updates"] == 8
    assert row["parameters"] == 144 + 32 + 4608 + 64 + 330
    assert row["added_noise"] == pytest.approx(5178e-5 / 9**0.55)
    assert row["small_noise"] > row["own_noise"] > 0


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("weight", [1e-3, 0.1, 1.0])
def test_growth_is_the_largest_eigenvalue(weight, momentum):
    rate = 0.1
    gain = 4 * weight * rate
    # (D, V) after a step, from (D, V) before it.
    step = np.array([[1 + gain, momentum], [gain, momentum]])
    largest = np.abs(np.linalg.eigvals(step)).max()
    found = growth.growth_factor(weight, rate, momentum)
    assert found == pytest.approx(largest, rel=1e-12)
    state = np.array([2.0, 0.0])
    expected = [state[0]]
    for _ in range(30):
        state = step @ state
        expected.append(state[0])
    predicted = growth.predicted_distances(2.0, 30, weight, rate, momentum)
    np.testing.assert_allclose(predicted, expected, rtol=1e-12)
    level = predicted[20] * (1 + 1e-9)
    found = growth.steps_until(level, 2.0, weight, rate, momentum)
    assert found == np.argmax(predicted > level)


def test_growth_of_the_design():
    assert growth.growth_factor(0.1, 0.1, 0.9) == pytest.approx(1.172, abs=5e-4)
    rate = growth.largest_rate(200, 0.1, 0.1, 0.9)
    for factor, finite in ((0.99, True), (1.01, False)):
        found = growth.predicted_distances(0.1, 200, 0.1, factor * rate, 0.9)
        assert (found[-1] < growth.LARGEST_DISTANCE) == finite
    moving, true = 1.0, 1.0
    for _ in range(300):
        moving = 0.9 * moving + 0.1 * true
        true *= 1.2**2
    expected = growth.lagging_variance(1.2, 0.9)
    assert moving / true == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("distance", ["frobenius", "bounded"])
def test_growth_of_the_layer_under_a_real_optimizer(distance):
    # The penalty alone, by the library's own layer and Keras's own SGD.
    keras.utils.set_random_seed(0)
    layer = keras_lbreg.DRegDense(
        6, weight=0.1, distance=distance, init_distance=1e-3, use_bias=False
    )
    layer.build((None, 5))
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), lambda y, z: 0.0 * z)
    first = kernels.distance(layer)
    expected = growth.predicted_distances(first, 12, 0.1, 0.1, 0.9)
    x = np.ones((2, 5), "float32")
    for step in range(1, 13):
        model.train_on_batch(x, np.zeros((2, 6), "float32"))
        now = kernels.distance(layer)
        assert now == pytest.approx(expected[step], rel=2e-3)


@recorded
def test_yuans_measurements_at_tiny_scale():
    found = kernels.lagging(0.01, 512, epochs=1, seed=0)
    assert 0 <= found["accuracy"] <= 1
    # Two steps after the start of 1 the statistics are far from the truth.
    assert found["ratio"] != pytest.approx(1, abs=1e-3)
    setting = kernels.SETTINGS[4]
    run = kernels.trace_setting(setting, seed=0, steps=4)
    assert run["setting"] == "frobenius, 0.1, 0.1, 0.9"
    assert run["step"] == [0, 1, 2, 3, 4]
    assert run["exploded"] is None
    assert run["cosine"][0] == pytest.approx(1, abs=1e-3)
    [recorded] = [
        r
        for r in load("yuan_2020").measured("stability")["measured"]["runs"]
        if (r["setting"], r["seed"]) == (run["setting"], 0)
    ]
    # Recorded on TensorFlow, which draws other first weights.
    if keras.backend.backend() == "tensorflow":
        np.testing.assert_allclose(
            run["distance"], recorded["distance"][:5], rtol=2e-3
        )
    # λ = 1e30 drives the kernels beyond float32 within a few steps.
    setting = kernels.Setting("frobenius", None, 1e30, 0.1, 0.9)
    run = kernels.trace_setting(setting, seed=0, steps=5)
    assert run["exploded"] == 2
    assert run["step"][-1] == 1
