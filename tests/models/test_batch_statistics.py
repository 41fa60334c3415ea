"""Statistics measured anew, against NumPy and against many training steps."""

import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.models.batch_statistics import estimate_statistics

SAMPLES = 48


def inputs(seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(2, 3, (SAMPLES, 3)).astype("float32")


def network(norm, dense=5):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(dense), norm]
    )
    for variable in (norm.moving_mean, norm.moving_variance):
        # Far from everything.
        variable.assign(np.full(variable.shape, 50.0))
    return model


def features(model, x):
    kernel, bias = model.layers[0].get_weights()
    return x @ kernel + bias


def check(state, mean, variance, tolerance=2e-5):
    np.testing.assert_allclose(state[0], mean, tolerance, atol=1e-5)
    np.testing.assert_allclose(state[1], variance, tolerance)


def test_one_batch():
    model, x = network(keras.layers.BatchNormalization()), inputs()
    before = model.get_weights()
    z = features(model, x)
    check(estimate_statistics(model, x), z.mean(0), z.var(0))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_batches_are_averaged_by_their_samples():
    model = network(keras.layers.BatchNormalization(momentum=0.999))
    x = inputs()
    z = features(model, x)
    parts = z[:20], z[20:40], z[40:]
    variance = sum(len(p) * p.var(0) for p in parts) / SAMPLES
    # float32 knows 1 - .999 to four digits.
    check(estimate_statistics(model, x, 20), z.mean(0), variance, 3e-4)


def test_small_statistics_are_not_lost_beside_large_ones():
    model, x = network(keras.layers.BatchNormalization(momentum=0.99)), inputs()
    kernel, bias = model.layers[0].get_weights()
    model.layers[0].set_weights([kernel * 1e-4, bias])
    z = features(model, x)
    check(estimate_statistics(model, x), z.mean(0), z.var(0))


@pytest.mark.parametrize("statistics", ["sequential", "mean"])
def test_ghost_batches(statistics):
    norm = keras_lbreg.GhostBatchNormalization(
        ghost_batch_size=12, statistics=statistics, momentum=0.9
    )
    model, x = network(norm), inputs()
    found = estimate_statistics(model, x)
    # Where many steps on these samples take the moving statistics.
    for _ in range(200):
        model(x, training=True)
    moved = [np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)]
    np.testing.assert_allclose(found[0], moved[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[1], moved[1], rtol=1e-4)


def test_the_layers_behind_see_normalized_inputs():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.BatchNormalization(epsilon=1e-7),
            keras.layers.BatchNormalization(epsilon=1e-7),
        ]
    )
    state = estimate_statistics(model, inputs())
    check(state[2:], np.zeros(3), np.ones(3))


class InInference(keras.layers.Layer):
    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def build(self, shape):
        self.norm.build(shape)

    def call(self, x):
        return self.norm(x, training=False)


def test_frozen_layers_and_inference_are_left_alone():
    frozen, fixed, trained = (keras.layers.BatchNormalization() for _ in "abc")
    x = keras.Input((3,))
    y = trained(InInference(fixed)(frozen(x)))
    model = keras.Model(x, y)
    frozen.trainable = False
    for layer in (frozen, fixed, trained):
        layer.moving_mean.assign([1.0, 2.0, 3.0])
    state = estimate_statistics(model, inputs())
    by_name = dict(
        zip([v.path for v in model.non_trainable_variables], state, strict=True)
    )
    for layer in (frozen, fixed):
        np.testing.assert_array_equal(
            by_name[layer.moving_mean.path], [1.0, 2.0, 3.0]
        )
    scale = np.sqrt(1 + frozen.epsilon)
    z = (inputs() - [1, 2, 3]) / scale
    z = (z - [1, 2, 3]) / scale
    np.testing.assert_allclose(
        by_name[trained.moving_mean.path], z.mean(0), rtol=1e-4, atol=1e-4
    )


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [Block(), Block()]

    def call(self, x, training=False):
        for block in self.blocks:
            x = block(x, training=training)
        return x


class Block(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.norm = keras.layers.BatchNormalization(epsilon=1e-7)

    def build(self, shape):
        self.norm.build(shape)

    def call(self, x, training=False):
        return self.norm(x, training=training)


def test_layers_in_layers_of_a_subclassed_model():
    model, x = Subclassed(), inputs()
    model(x)
    state = estimate_statistics(model, x)
    check(state[:2], x.mean(0), x.var(0))
    check(state[2:], np.zeros(3), np.ones(3))


def test_without_batch_normalization_nothing_changes():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5)]
    )
    before = [np.asarray(v) for v in model.non_trainable_variables]
    for old, new in zip(
        before, estimate_statistics(model, inputs()), strict=True
    ):
        np.testing.assert_array_equal(old, new)
