"""Finding layers in models, nested models included."""

import numbers

from keras_lbreg.checks import invalid, is_number
from keras_lbreg.models._keras_graph import (
    can_be_kept,
    has_graph,
    is_graph_model,
    own_methods,
    sublayers,
)


def check_graph_model(model, what):
    """Raises, with `what` to do instead, unless `model`'s calls are known."""
    if not is_graph_model(model):
        expected = (
            "a Functional or Sequential model: which layers a subclassed model "
            f"calls, and in which order, is not known. {what}"
        )
        raise invalid("model", expected, model)
    if not can_be_kept(type(model)):
        check_nothing_is_lost(
            model,
            "To keep the class, let its constructor take `(inputs, outputs, "
            "name=...)`, or `(layers, name=...)` in a Sequential model",
        )


def check_nothing_is_lost(model, what):
    """Raises, with `what` to do instead, if a plain class loses methods."""
    lost = own_methods(model)
    if lost:
        expected = (
            "a class without methods of its own: the result is of another "
            f"class, and {lost} would be lost. {what}"
        )
        raise invalid("model", expected, model)


def check_shapes_are_known(model):
    """Raises `ValueError` for a Sequential model that has no variables yet."""
    if not has_graph(model):
        expected = (
            "a model that knows the shape of its input, since the weights of "
            "its layers are carried over. Add `keras.Input` as its first "
            "layer, or call it once"
        )
        raise invalid("model", expected, model)


def find_layers(model, predicate=lambda layer: True):
    """Layers in order of call, by path: `"nested_model/layer"`."""
    found = {}
    for layer in model.layers:
        if is_graph_model(layer):
            for path, inner in find_layers(layer, predicate).items():
                found[f"{layer.name}/{path}"] = inner
        elif predicate(layer):
            found[layer.name] = layer
    return found


def find_hidden_layers(model, predicate):
    """Paths of layers inside of others, which surgery cannot reach."""
    return [
        f"{path}/{inner.name}"
        for path, layer in find_layers(model).items()
        if not predicate(layer)
        for inner in sublayers(layer)
        if predicate(inner)
    ]


def resolve_layer(model, which, candidates, argument="layer"):
    """The candidate that a layer, a path, a unique name or an index names."""
    # One that is used at several places has several paths.
    unique = list(dict.fromkeys(candidates.values()))
    matches = [x for x in unique if x is which or x.name == which]
    if is_number(which, numbers.Integral):
        if -len(unique) <= which < len(unique):
            matches = [unique[which]]
    elif which in candidates:
        matches = [candidates[which]]
    if len(matches) == 1:
        return matches[0]
    problem = "names several layers" if matches else "names no such layer"
    raise ValueError(
        f"Invalid value for argument `{argument}`: it {problem} of model "
        f"'{model.name}'. Expected the path of one of {list(candidates)}, or "
        "an index into that list (-1 is closest to the output). Received: "
        f"{argument}={which!r}"
    )
