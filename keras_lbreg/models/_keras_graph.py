"""What surgery needs of Keras's graph internals, checked on Keras 3.15.

Keras publishes no way to walk the calls of a Functional model. Everything
that relies on its inner names is here, and
`tests/models/test_keras_graph.py` fails when a new Keras changes them.
"""

import inspect

import keras
from keras.src.models.functional import Functional
from keras.src.saving import serialization_lib

# What a subclass of a model may change about its predictions and training.
METHODS = (
    "call",
    "train_step",
    "test_step",
    "predict_step",
    "compute_loss",
    "compute_metrics",
)

PLAIN_CONFIG = {
    "name",
    "trainable",
    "dtype",
    "layers",
    "input_layers",
    "output_layers",
    "build_input_shape",
}


def is_graph_model(layer):
    """Whether `layer` is a model whose calls are known: it can be rebuilt."""
    if not isinstance(layer, (Functional, keras.Sequential)):
        return False
    # Building the class again keeps an override of `call`.
    return can_be_kept(type(layer)) or "call" not in own_methods(layer)


def can_be_kept(model_class):
    """Whether a class is built like the Keras class that it extends."""
    if model_class is Functional:
        return True
    signature = inspect.signature(model_class.__init__)
    _, *parameters = signature.parameters.values()
    kinds = [parameter.kind for parameter in parameters]
    names = [parameter.name for parameter in parameters]
    if kinds == [
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
    ]:
        # As `class MyModel(keras.Model)` without its own `__init__`.
        return True
    if issubclass(model_class, keras.Sequential):
        return names[:1] == ["layers"]
    return {"inputs", "outputs"} <= set(names)


def own_methods(model):
    """What a model does otherwise than a plain one with the same graph."""
    is_sequential = isinstance(model, keras.Sequential)
    plain = keras.Sequential if is_sequential else Functional
    return [
        name
        for name in METHODS
        if getattr(type(model), name) is not getattr(plain, name)
    ]


def has_graph(model):
    """Whether a model knows its inputs; a Sequential model may not yet."""
    try:
        return bool(model.inputs)
    except AttributeError:
        return False


def calls_in_order(model):
    """The calls (Keras nodes) of a Functional model, each after its inputs."""
    by_depth = model._nodes_by_depth
    return [
        node
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
        if node.operation and not node.is_input
    ]


def is_chain(model):
    """Whether the graph of a Functional model is one layer after another."""
    tensor = model.input
    for node in calls_in_order(model):
        if (
            not isinstance(node.operation, keras.Layer)
            or [id(x) for x in node.input_tensors] != [id(tensor)]
            or len(node.outputs) != 1
        ):
            return False
        (tensor,) = node.outputs
    return model.output is tensor


def input_layer(tensor):
    """The `InputLayer` of an input tensor. Its name may be another."""
    return tensor._keras_history.operation


def further_config(model):
    """Entries of a subclass's config beyond a plain model's."""
    plain = Functional.get_config, keras.Sequential.get_config
    if type(model).get_config in plain:
        return {}
    config = model.get_config()
    return {key: config[key] for key in config.keys() - PLAIN_CONFIG}


def sublayers(layer):
    """All layers tracked inside `layer`, without `layer`."""
    return layer._flatten_layers(include_self=False)


def config_with_ids(layer, shared):
    """The config of a layer, in which the configs of `shared` have their id."""
    with serialization_lib.ObjectSharingScope():
        # Keras gives an id from the second time on.
        for other in shared:
            keras.saving.serialize_keras_object(other)
        return layer.get_config()


def from_config_with_ids(layer_class, config, objects):
    """A layer from such a config, with objects by id in place of new ones."""
    with serialization_lib.ObjectSharingScope():
        for key, value in objects.items():
            serialization_lib.record_object_after_deserialization(value, key)
        return layer_class.from_config(config)
