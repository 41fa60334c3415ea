"""Finding layers by path, name and index."""

import keras
import pytest

from keras_lbreg.models import layer_search


class Block(keras.layers.Layer):
    """A composite layer: surgery cannot look inside."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inside = keras.layers.Dense(4, name="inside")

    def call(self, x):
        return self.inside(x)


def dense(name):
    return keras.layers.Dense(4, name=name)


def is_dense(layer):
    return isinstance(layer, keras.layers.Dense)


@pytest.fixture
def model():
    """x -> first -> (inner: a -> b) -> + -> tail/a -> last, first -> +."""
    inputs = keras.Input((4,))
    inner = keras.Model(inputs, dense("b")(dense("a")(inputs)), name="inner")
    x = keras.Input((4,))
    first = dense("first")(x)
    y = keras.layers.Add(name="sum")([inner(first), first])
    y = keras.Sequential([dense("a")], name="tail")(y)
    return keras.Model(x, dense("last")(Block(name="block")(y)), name="outer")


def test_paths_in_order_of_call(model):
    assert list(layer_search.find_layers(model, is_dense)) == [
        "first",
        "inner/a",
        "inner/b",
        "tail/a",
        "last",
    ]


def test_layer_shared_by_two_models_has_two_paths():
    shared = dense("shared")
    one = keras.Sequential([keras.Input((4,)), shared], name="one")
    two = keras.Sequential([keras.Input((4,)), shared], name="two")
    x = keras.Input((4,))
    found = layer_search.find_layers(keras.Model(x, two(one(x))), is_dense)
    assert found == {"one/shared": shared, "two/shared": shared}


def test_hidden_layers(model):
    assert layer_search.find_hidden_layers(model, is_dense) == ["block/inside"]
    assert (
        layer_search.find_hidden_layers(
            model, lambda layer: isinstance(layer, keras.layers.Conv2D)
        )
        == []
    )


@pytest.mark.parametrize(
    ("which", "path"),
    [
        ("inner/a", "inner/a"),
        ("b", "inner/b"),
        ("first", "first"),
        (-1, "last"),
        (-2, "tail/a"),
        (0, "first"),
    ],
)
def test_resolve(model, which, path):
    candidates = layer_search.find_layers(model, is_dense)
    found = layer_search.resolve_layer(model, which, candidates)
    assert found is candidates[path]
    assert layer_search.resolve_layer(model, found, candidates) is found


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("a", "names several layers"),
        ("nowhere", r"no such layer.*'first', 'inner/a'"),
        ("sum", "names no such layer"),
        (5, "names no such layer"),
        (True, "names no such layer"),
        (None, "names no such layer"),
    ],
)
def test_resolve_refuses(model, which, message):
    candidates = layer_search.find_layers(model, is_dense)
    with pytest.raises(ValueError, match=message):
        layer_search.resolve_layer(model, which, candidates)


def test_subclassed_model_is_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match=r"subclassed model.*Use X"):
        layer_search.check_graph_model(Own(), "Use X instead")


class OwnStep(keras.Sequential):
    def __init__(self, units, **kwargs):
        super().__init__([keras.Input((3,)), dense("only")], **kwargs)

    def train_step(self, *args, **kwargs):
        return super().train_step(*args, **kwargs)


def test_methods_that_would_be_lost_are_named():
    with pytest.raises(ValueError, match=r"\['train_step'\] would be lost"):
        layer_search.check_graph_model(OwnStep(4), "Use X instead")
    with pytest.raises(ValueError, match=r"would be lost. Use X instead"):
        layer_search.check_nothing_is_lost(OwnStep(4), "Use X instead")


def test_unknown_shapes():
    model = keras.Sequential([dense("only")])
    with pytest.raises(ValueError, match=r"Add `keras.Input` .* or call it"):
        layer_search.check_shapes_are_known(model)
    model(keras.ops.ones((1, 3)))
    layer_search.check_shapes_are_known(model)
