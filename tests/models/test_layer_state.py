"""Carrying the state of layers over."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

import keras_lbreg
from keras_lbreg.models import layer_state

L = keras.layers
X = np.random.default_rng(0).normal(5.0, 3.0, size=(16, 8)).astype("float32")
TEXTS = np.array(["a", "b b a", "zz", "a c"])


def copy_of(layer):
    new = type(layer).from_config(layer.get_config())
    layer_state.copy_state(layer, new)
    return new


def adapted(layer, data=X):
    layer.adapt(data)
    return layer


def normalized_model():
    normalization = adapted(L.Normalization(name="normalize"))
    return keras.Sequential(
        [
            keras.Input((8,)),
            normalization,
            L.Dense(6, name="dense"),
            L.BatchNormalization(),
            L.Dense(3, name="top"),
        ]
    )


@pytest.mark.parametrize(
    "surgery",
    [
        lambda model: keras_lbreg.apply_ghost_batch_norm(model, 4),
        lambda model: keras_lbreg.apply_dreg(model, "dense"),
        lambda model: keras_lbreg.apply_dreg(model, "dense", paths="split"),
        lambda model: keras_lbreg.strip_dreg(
            keras_lbreg.apply_dreg(model, "dense")
        ),
    ],
)
def test_adapted_normalization_predicts_alike(surgery):
    model = normalized_model()
    new = surgery(model)
    expected = to_numpy(model(X))
    np.testing.assert_allclose(new(X), expected, atol=1e-6)
    # Training the one, which reuses its memory, leaves the other alone.
    new.compile("sgd", "mse")
    new.fit(X, np.zeros((16, 3)), verbose=0)
    np.testing.assert_array_equal(model(X), expected)


def test_normalization_inside_another_layer():
    layer = L.TimeDistributed(adapted(L.Normalization()))
    x = X.reshape(2, 8, 8)
    expected = to_numpy(layer(x))
    np.testing.assert_array_equal(copy_of(layer)(x), expected)
    assert abs(expected.mean()) < 1e-5


@pytest.mark.tensorflow
def test_adapted_discretization():
    layer = adapted(L.Discretization(num_bins=4), X[:, :1])
    expected = to_numpy(layer(X[:, :1]))
    np.testing.assert_array_equal(copy_of(layer)(X[:, :1]), expected)
    assert set(expected.ravel()) == {0, 1, 2, 3}


def test_state_is_variables_and_what_is_derived_from_them():
    class Halved(L.Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(shape=(), initializer="zeros")

        def load_own_variables(self, store):
            super().load_own_variables(store)
            self.derived = 0.5 * to_numpy(self.scale)

    layer = Halved()
    layer.build((None, 1))
    layer.scale.assign(3.0)
    new = copy_of(layer)
    assert to_numpy(new.scale) == 3.0
    assert new.derived == 1.5


def test_low_rank_adapters_stay_apart_from_the_kernel():
    layer = L.Dense(4, lora_rank=2)
    layer.build((None, 8))
    layer.lora_kernel_b.assign(np.ones((2, 4)))
    new = copy_of(layer)
    for source, target in zip(layer.variables, new.variables, strict=True):
        np.testing.assert_array_equal(source, target)


def lookups():
    integers = np.array([7, 7, 5, 3])
    return {
        "string": (adapted(L.StringLookup(), TEXTS), TEXTS),
        "one_hot": (
            adapted(L.StringLookup(output_mode="one_hot"), TEXTS),
            TEXTS,
        ),
        "integer": (adapted(L.IntegerLookup(), integers), np.array([5, 9, 7])),
        "text": (
            adapted(L.TextVectorization(output_sequence_length=3), TEXTS),
            TEXTS,
        ),
        "multi_hot": (
            adapted(L.TextVectorization(output_mode="multi_hot"), TEXTS),
            TEXTS,
        ),
        "tf_idf": (
            adapted(L.TextVectorization(output_mode="tf_idf"), TEXTS),
            TEXTS,
        ),
        "given": (L.StringLookup(vocabulary=["a", "zz"]), TEXTS),
    }


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "name",
    [
        "string",
        "one_hot",
        "integer",
        "text",
        "multi_hot",
        "tf_idf",
        "given",
    ],
)
def test_lookup_layers(name):
    import tensorflow as tf

    layer, values = lookups()[name]
    kind = "int64" if name == "integer" else "string"
    inputs = keras.Input((), dtype=kind)
    h = keras.ops.cast(layer(inputs), "float32")
    if len(h.shape) == 1:
        h = keras.ops.expand_dims(h, -1)
    model = keras.Model(inputs, L.BatchNormalization()(h))
    values = tf.constant(values)
    expected = to_numpy(model(values))
    assert np.ptp(expected) > 0
    new = keras_lbreg.apply_ghost_batch_norm(model)
    np.testing.assert_allclose(new(values), expected, atol=1e-6)


@pytest.mark.tensorflow
def test_a_lookup_layer_without_vocabulary_is_refused():
    inputs = keras.Input((1,), dtype="string")
    h = L.Dense(2)(keras.ops.cast(L.StringLookup(name="look")(inputs), "int32"))
    model = keras.Model(inputs, L.BatchNormalization()(h))
    with pytest.raises(ValueError, match=r"'look'.*call its `adapt` first"):
        keras_lbreg.apply_ghost_batch_norm(model)
