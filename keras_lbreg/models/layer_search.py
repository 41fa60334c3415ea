"""Finding layers in models, nested models included."""

import numbers

import keras

from keras_lbreg.models._keras_graph import (
    calls_in_order,
    can_be_kept,
    has_graph,
    is_graph_model,
    own_methods,
    sublayers,
)


def check_graph_model(model, what):
    """Raises `ValueError` unless the calls inside `model` are known.

    Args:
        model: The model whose layers are to be replaced.
        what: What to do instead in a subclassed model, a full sentence.
    """
    if not is_graph_model(model):
        raise ValueError(
            "Invalid value for argument `model`. Expected a Functional or "
            "Sequential model: which layers a subclassed model calls, and "
            f"in which order, is not known. {what} "
            f"Received: model={model!r} (of type {type(model)})"
        )
    if not can_be_kept(type(model)):
        check_nothing_is_lost(
            model,
            "To keep the class, let its constructor take `(inputs, outputs, "
            "name=...)`, or `(layers, name=...)` in a Sequential model.",
        )


def check_nothing_is_lost(model, what):
    """Raises `ValueError` if a plain class in its place would do otherwise.

    Args:
        model: A model whose class surgery does not keep.
        what: What to do instead, a full sentence.
    """
    lost = own_methods(model)
    if lost:
        raise ValueError(
            "Invalid value for argument `model`. Expected a class without "
            f"methods of its own: the result is of another class, and {lost} "
            f"would be lost. {what} "
            f"Received: model={model!r} (of type {type(model)})"
        )


def check_shapes_are_known(model):
    """Raises `ValueError` for a Sequential model that has no variables yet."""
    if not has_graph(model):
        raise ValueError(
            "Invalid value for argument `model`. Expected a model that knows "
            "the shape of its input, since the weights of its layers are "
            "carried over. Add `keras.Input` as its first layer, or call it "
            f"once. Received: model={model!r}"
        )


def find_layers(model, predicate=lambda layer: True):
    """The layers for which `predicate` holds, by path, in order of call.

    Nested Functional and Sequential models are entered; a layer of theirs has
    the path `"nested_model/layer"`. A layer used at several places appears
    under each of its paths.

    Args:
        model: A Functional or Sequential model.
        predicate: Callable from layer to boolean.

    Returns:
        Dict from path to layer.
    """
    found = {}
    for layer in model.layers:
        if is_graph_model(layer):
            for path, inner in find_layers(layer, predicate).items():
                found[f"{layer.name}/{path}"] = inner
        elif predicate(layer):
            found[layer.name] = layer
    return found


def find_hidden_layers(model, predicate):
    """Paths of the layers that surgery cannot reach.

    They belong to a subclassed model or to a composite layer (a wrapper, a
    custom block) inside `model`.

    Args:
        model: A Functional or Sequential model.
        predicate: Callable from layer to boolean.

    Returns:
        List of paths of the owners with the hidden layer's name.
    """
    return [
        f"{path}/{inner.name}"
        for path, layer in find_layers(model).items()
        if not predicate(layer)
        for inner in sublayers(layer)
        if predicate(inner)
    ]


def resolve_layer(model, which, candidates, argument="layer"):
    """The candidate that `which` names.

    Args:
        model: The model searched, for the error message.
        which: A layer, a path (`"backbone/conv1"`), a name that is unique
            among the candidates, or an index into them in order of call
            (`-1` is the one closest to the output).
        candidates: Dict from path to layer, as `find_layers` returns it.
        argument: Name of the caller's argument, for the error message.

    Returns:
        The layer.
    """
    unique = list(dict.fromkeys(candidates.values()))
    if isinstance(which, numbers.Integral) and not isinstance(which, bool):
        if -len(unique) <= which < len(unique):
            return unique[which]
        matches = []
    elif isinstance(which, keras.layers.Layer):
        matches = [layer for layer in unique if layer is which]
    elif which in candidates:
        matches = [candidates[which]]
    else:
        matches = list(
            dict.fromkeys(layer for layer in unique if layer.name == which)
        )
    if len(matches) == 1:
        return matches[0]
    problem = "names several layers" if matches else "names no such layer"
    raise ValueError(
        f"Invalid value for argument `{argument}`: it {problem} of model "
        f"'{model.name}'. Expected the path of one of {list(candidates)}, or "
        "an index into that list (-1 is closest to the output). Received: "
        f"{argument}={which!r}"
    )


def downstream_layers(model, sources):
    """The layers that see something computed from a source layer's output.

    Nested models are entered. A nested model with one input that depends on a
    source is taken to depend on it in all its inputs.

    Args:
        model: A Functional or Sequential model.
        sources: List of layers of `model` or of its nested models.

    Returns:
        List of layers (no nested models), in order of call. A layer called at
        several places is in it if one of them is downstream.
    """
    source_ids = {id(layer) for layer in sources}
    reached = {}

    def walk(model, from_source):
        """Marks layers; returns which outputs depend on a source."""
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                from_source = visit(layer, from_source)[0]
            return [from_source]
        tensors = {id(x) for x in model.inputs} if from_source else set()
        for node in calls_in_order(model):
            touched = any(id(x) in tensors for x in node.input_tensors)
            flags = visit(node.operation, touched)
            for i, output in enumerate(node.outputs):
                if flags[i if len(flags) > 1 else 0]:
                    tensors.add(id(output))
        return [id(x) in tensors for x in model.outputs]

    def visit(operation, from_source):
        if is_graph_model(operation):
            return walk(operation, from_source)
        if from_source and isinstance(operation, keras.layers.Layer):
            reached[id(operation)] = operation
        return [from_source or id(operation) in source_ids]

    walk(model, False)
    return [
        layer
        for layer in dict.fromkeys(find_layers(model).values())
        if id(layer) in reached
    ]
