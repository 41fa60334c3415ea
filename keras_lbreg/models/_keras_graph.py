"""What surgery needs of Keras's graph internals, checked on Keras 3.15.

Keras publishes no way to walk the calls of a Functional model. Everything
that relies on its inner names stands here, and
`tests/models/test_keras_graph.py` fails when a new Keras changes them.
"""

import inspect

import keras
from keras.src.models.functional import Functional


def is_graph_model(layer):
    """Whether `layer` is a model whose calls are known: it can be rebuilt.

    A subclass of a Functional model that overrides `call` is one only if its
    class can be built from other tensors, which keeps the override.
    """
    if isinstance(layer, keras.Sequential):
        return True
    if not isinstance(layer, Functional):
        return False
    return takes_tensors(type(layer)) or type(layer).call is Functional.call


def takes_tensors(model_class):
    """Whether a Functional class is built by `cls(inputs, outputs, ...)`."""
    if model_class is Functional:
        return True
    parameters = inspect.signature(model_class.__init__).parameters
    if {"inputs", "outputs"} <= set(parameters):
        return True
    # `class MyModel(keras.Model)` without its own `__init__` takes
    # `(*args, **kwargs)` and hands them on.
    kinds = [p.kind for p in list(parameters.values())[1:]]
    return kinds == [
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
    ]


def calls_in_order(model):
    """The calls (Keras nodes) of a Functional model, each after its inputs.

    A node has `operation`, `arguments.fill_in(tensors_by_id)`,
    `input_tensors` and `outputs`.
    """
    by_depth = model._nodes_by_depth
    return [
        node
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
        if node.operation and not node.is_input
    ]


def input_layer(tensor):
    """The `InputLayer` of an input tensor. Its name may be another."""
    return tensor._keras_history.operation


def further_config(model):
    """Entries of a Functional subclass's config beyond a plain model's."""
    if type(model).get_config is Functional.get_config:
        return {}
    plain = {"name", "trainable", "layers", "input_layers", "output_layers"}
    config = model.get_config()
    return {key: config[key] for key in config.keys() - plain}


def sublayers(layer):
    """All layers tracked inside `layer`, without `layer`."""
    return layer._flatten_layers(include_self=False)
