"""The inner names of Keras that surgery relies on (checked on Keras 3.15)."""

import inspect

import keras
import pytest
from keras.src.models.functional import Functional

from keras_lbreg.models import _keras_graph as graph


def diamond():
    inputs = keras.Input((3,), name="x")
    left = keras.layers.Dense(2, name="left")(inputs)
    right = keras.layers.Dense(2, name="right")(inputs)
    return keras.Model(inputs, keras.layers.Add(name="sum")([left, right]))


def test_calls_are_in_order_and_have_what_is_used():
    model = diamond()
    calls = graph.calls_in_order(model)
    names = [node.operation.name for node in calls]
    assert sorted(names[:2]) == ["left", "right"]
    assert names[2:] == ["sum"]
    assert [id(x) for x in calls[2].outputs] == [id(model.outputs[0])]
    assert len(calls[2].input_tensors) == 2
    tensors = {id(x): i for i, x in enumerate(calls[2].input_tensors)}
    args, kwargs = calls[2].arguments.fill_in(tensors)
    assert args == ([0, 1],)
    assert kwargs == {}


def test_functional_constructor():
    assert type(diamond()) is Functional
    assert list(inspect.signature(Functional.__init__).parameters)[1:4] == [
        "inputs",
        "outputs",
        "name",
    ]


def test_plain_config_keys():
    assert set(diamond().get_config()) == {
        "name",
        "trainable",
        "layers",
        "input_layers",
        "output_layers",
    }


def test_input_layer():
    model = diamond()
    layer = graph.input_layer(model.inputs[0])
    assert layer is model.get_layer("x")
    assert layer.output is model.inputs[0]


def test_sublayers_are_recursive():
    layer = keras.layers.TimeDistributed(
        keras.layers.TimeDistributed(keras.layers.Dense(1, name="deep"))
    )
    assert "deep" in [inner.name for inner in graph.sublayers(layer)]


class ByTensors(keras.Model):
    pass


def by_tensors():
    model = diamond()
    return ByTensors(model.input, model.output)


class ByUnits(keras.Model):
    def __init__(self, units):
        inputs = keras.Input((3,))
        super().__init__(inputs, keras.layers.Dense(units)(inputs))


class ByUnitsWithCall(ByUnits):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs)


class Subclassed(keras.Model):
    pass


@pytest.mark.parametrize("make", [Subclassed, lambda: keras.layers.Dense(1)])
def test_a_model_whose_calls_are_unknown(make):
    assert not graph.is_graph_model(make())


class OwnStep(keras.Sequential):
    def train_step(self, *args, **kwargs):
        return super().train_step(*args, **kwargs)


class OwnLayers(OwnStep):
    def __init__(self, units):
        super().__init__([keras.Input((3,)), keras.layers.Dense(units)])


class OwnLayersAndCall(OwnLayers):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs)


@pytest.mark.parametrize(
    ("make", "is_graph", "kept", "own"),
    [
        (diamond, True, True, []),
        (keras.Sequential, True, True, []),
        (by_tensors, True, True, []),
        (OwnStep, True, True, ["train_step"]),
        (lambda: OwnLayers(2), True, False, ["train_step"]),
        (lambda: OwnLayersAndCall(2), False, False, ["call", "train_step"]),
        (lambda: ByUnits(1), True, False, []),
        (lambda: ByUnitsWithCall(1), False, False, ["call"]),
    ],
)
def test_classes(make, is_graph, kept, own):
    model = make()
    assert graph.is_graph_model(model) is is_graph
    assert graph.can_be_kept(type(model)) is kept
    assert graph.own_methods(model) == own


def test_further_config_of_a_sequential_class():
    class Shifted(keras.Sequential):
        def get_config(self):
            return {**super().get_config(), "shift": 1.0}

    model = Shifted([keras.Input((3,)), keras.layers.Dense(1)])
    assert graph.further_config(model) == {"shift": 1.0}
    assert graph.further_config(OwnLayers(2)) == {}


def test_has_graph():
    assert graph.has_graph(diamond())
    model = keras.Sequential([keras.layers.Dense(1)])
    assert not graph.has_graph(model)
    model(keras.ops.ones((1, 3)))
    assert graph.has_graph(model)


def chain():
    inputs = keras.Input((3,))
    h = keras.layers.Dense(2, name="a")(inputs)
    return keras.Model(inputs, keras.layers.ReLU(name="b")(h))


def with_operation():
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(2)(2 * inputs))


def with_side_branch():
    inputs = keras.Input((3,))
    h = keras.layers.Dense(2)(inputs)
    return keras.Model(inputs, [h, keras.layers.Dense(2)(h)])


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (chain, True),
        (diamond, False),
        (with_operation, False),
        (with_side_branch, False),
    ],
)
def test_is_chain(make, expected):
    assert graph.is_chain(make()) is expected
