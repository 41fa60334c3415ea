"""Surgery from plain to ghost batch normalization."""

import re

import keras
import numpy as np
import pytest

from keras_lbreg.layers import GhostBatchNormalization
from keras_lbreg.models import (
    apply_ghost_batch_norm,
    strip_ghost_batch_norm,
)
from keras_lbreg.models.layer_search import find_layers
from keras_lbreg.warnings import NoEffectWarning
from tests.checks.layer import save_and_load


def bn(name, **kwargs):
    return keras.layers.BatchNormalization(name=name, **kwargs)


def make_model():
    """A frozen nested model, a shared layer, and a plain one."""
    inputs = keras.Input((6, 6, 4))
    x = keras.layers.Conv2D(4, 1, use_bias=False)(inputs)
    inner = keras.Model(inputs, bn("bn")(x), name="inner")
    inner.trainable = False
    inputs = keras.Input((6, 6, 4))
    shared = bn("shared", momentum=0.7, epsilon=1e-5, center=False)
    x = shared(inner(shared(inputs)))
    x = keras.layers.Conv2D(4, 3, name="conv")(x)
    x = keras.Sequential([bn("first"), keras.layers.ReLU()], name="tail")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3)(bn("last")(x)))
    rng = np.random.default_rng(3)
    for variable in model.weights:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


def ghosts(model):
    return find_layers(
        model, lambda layer: isinstance(layer, GhostBatchNormalization)
    )


X = np.random.default_rng(0).normal(size=(8, 6, 6, 4)).astype("float32")


def test_whole_model():
    model = make_model()
    new = apply_ghost_batch_norm(model, 4, statistics="mean")
    assert list(ghosts(new)) == ["shared", "inner/bn", "tail/first", "last"]
    assert ghosts(model) == {}
    for path, layer in ghosts(new).items():
        assert layer.ghost_batch_size == 4
        assert layer.statistics == "mean"
        assert layer.trainable is (path != "inner/bn")
    shared = new.get_layer("shared")
    assert (shared.momentum, shared.epsilon) == (0.7, 1e-5)
    assert shared.beta is None
    assert new.name == model.name
    assert [v.path for v in new.weights] == [v.path for v in model.weights]
    np.testing.assert_array_equal(new(X), model(X))


def test_training_uses_the_ghosts():
    model = make_model()
    new = apply_ghost_batch_norm(model, 4)
    assert not np.allclose(new(X, training=True), model(X, training=True))
    one = apply_ghost_batch_norm(model, 8)
    np.testing.assert_allclose(
        one(X, training=True), model(X, training=True), atol=1e-4
    )


def test_applying_twice_changes_only_the_size():
    once = apply_ghost_batch_norm(make_model(), 4)
    twice = apply_ghost_batch_norm(once, 4)
    assert twice.get_config() == once.get_config()
    other = apply_ghost_batch_norm(once, 2)
    assert {x.ghost_batch_size for x in ghosts(other).values()} == {2}
    np.testing.assert_array_equal(other(X), once(X))


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (["last", "inner/bn"], ["inner/bn", "last"]),
        ("first", ["tail/first"]),
        (-1, ["last"]),
        ([0, -2], ["shared", "tail/first"]),
    ],
)
def test_chosen_layers(layers, expected):
    new = apply_ghost_batch_norm(make_model(), 4, layers=layers)
    assert list(ghosts(new)) == expected


def test_wrong_name_lists_the_candidates():
    with pytest.raises(ValueError, match=r"`layers`.*'inner/bn', 'tail/first'"):
        apply_ghost_batch_norm(make_model(), layers=["conv"])


def test_nothing_to_convert_warns():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.warns(NoEffectWarning, match="no BatchNormalization"):
        new = apply_ghost_batch_norm(model)
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(new(x), model(x))


class Block(keras.layers.Layer):
    def __init__(self, norm=None, **kwargs):
        super().__init__(**kwargs)
        self.norm = norm or bn("norm")

    def build(self, input_shape):
        self.norm.build(input_shape)

    def call(self, x, training=None):
        return self.norm(x, training=training)


def test_hidden_layer_is_refused_unless_layers_are_named():
    model = keras.Sequential(
        [keras.Input((3,)), Block(name="block"), bn("open")]
    )
    with pytest.raises(ValueError, match=r"block/norm.*name them in `layers`"):
        apply_ghost_batch_norm(model)
    assert list(ghosts(apply_ghost_batch_norm(model, layers="open"))) == [
        "open"
    ]


def test_subclassed_model_is_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="subclassed"):
        apply_ghost_batch_norm(Own())


class OwnStep(keras.Sequential):
    def train_step(self, *args, **kwargs):
        return super().train_step(*args, **kwargs)


class OwnLayers(OwnStep):
    def __init__(self, units=3):
        super().__init__([keras.Input((3,)), bn("bn")])


def test_methods_of_a_class_are_kept_or_refused():
    model = OwnStep([keras.Input((3,)), bn("bn")])
    new = apply_ghost_batch_norm(model, 4)
    assert type(new) is OwnStep
    assert type(strip_ghost_batch_norm(new)) is OwnStep
    with pytest.raises(ValueError, match=r"'train_step'.*would be lost"):
        apply_ghost_batch_norm(OwnLayers(), 4)


def test_a_model_without_shapes():
    new = apply_ghost_batch_norm(keras.Sequential([bn("bn")]), 4)
    assert list(ghosts(new)) == ["bn"]
    assert new(X).shape == X.shape


def test_synchronized_is_refused():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras itself refuses it elsewhere")
    model = keras.Sequential([keras.Input((3,)), bn("s", synchronized=True)])
    with pytest.raises(ValueError, match="synchronized"):
        apply_ghost_batch_norm(model)


def test_bad_size_is_refused():
    with pytest.raises(ValueError, match=r"`ghost_batch_size`.*above 0"):
        apply_ghost_batch_norm(make_model(), 0)


def test_subclass_of_batch_normalization_is_left_alone():
    class Own(keras.layers.BatchNormalization):
        pass

    model = keras.Sequential([keras.Input((3,)), Own(name="own"), bn("bn")])
    new = apply_ghost_batch_norm(model)
    assert type(new.get_layer("own")) is Own
    assert list(ghosts(new)) == ["bn"]


def test_saves_and_loads(tmp_path):
    new = apply_ghost_batch_norm(make_model(), 4)
    again = save_and_load(new, tmp_path)
    assert list(ghosts(again)) == list(ghosts(new))
    np.testing.assert_array_equal(again(X), new(X))


def test_strip_undoes_apply():
    model = make_model()
    plain = strip_ghost_batch_norm(apply_ghost_batch_norm(model, 4))
    assert plain.get_config() == model.get_config()
    for old, new in zip(model.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_predictions_of_a_trained_model_are_equal():
    ghost = apply_ghost_batch_norm(make_model(), 4)
    ghost.compile("sgd", "mse")
    ghost.fit(X, np.zeros((8, 3)), epochs=2, verbose=0)
    plain = strip_ghost_batch_norm(ghost)
    np.testing.assert_array_equal(plain(X), ghost(X))
    assert not find_layers(
        plain, lambda layer: isinstance(layer, GhostBatchNormalization)
    )


def test_nothing_to_strip_warns():
    with pytest.warns(NoEffectWarning, match="no GhostBatchNormalization"):
        strip_ghost_batch_norm(make_model())


def test_hidden_ghosts_are_refused():
    block = Block(name="block", norm=GhostBatchNormalization(name="ghost"))
    model = keras.Sequential([keras.Input((3,)), block])
    with pytest.raises(ValueError, match="block/ghost"):
        strip_ghost_batch_norm(model)


@pytest.mark.parametrize("integer", [np.int32, np.int64, np.uint8])
def test_integers_of_numpy(integer):
    new = apply_ghost_batch_norm(make_model(), integer(4), layers=integer(1))
    assert list(ghosts(new)) == ["inner/bn"]
    assert new.get_layer("inner").get_layer("bn").ghost_batch_size == 4


APPLICATIONS = sorted(
    name
    for name, value in vars(keras.applications).items()
    if callable(value) and name[0].isupper()
)


def names(model):
    """Names of layers and their variables, but for automatic ones.

    `LayerScale` of ConvNeXt leaves its variable's name to Keras, which counts,
    and NASNet's layers are made in scopes that no copy of a model has.
    """
    return [
        (path, re.sub(r"^variable(_\d+)?$", "", variable.name))
        for path, layer in find_layers(model, lambda layer: True).items()
        for variable in layer.weights
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::keras_lbreg.warnings.NoEffectWarning")
@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications(name):
    """There and back, every model that Keras has comes out as it was."""
    make = getattr(keras.applications, name)
    model = make(weights=None, input_shape=(96, 96, 3), classes=5)
    ghost = apply_ghost_batch_norm(model, 4)
    plain = find_layers(
        model, lambda layer: type(layer) is keras.layers.BatchNormalization
    )
    assert list(ghosts(ghost)) == list(plain)
    again = strip_ghost_batch_norm(ghost)
    assert again.get_config() == model.get_config()
    x = np.random.default_rng(0).normal(size=(1, 96, 96, 3))
    expected = model(x)
    for new in (ghost, again):
        assert names(new) == names(model)
        for old_v, new_v in zip(model.weights, new.weights, strict=True):
            np.testing.assert_array_equal(new_v, old_v)
        np.testing.assert_array_equal(new(x), expected)
