"""Rebuilding a model with some of its layers replaced."""

import keras

from keras_lbreg.models._keras_graph import (
    calls_in_order,
    can_be_kept,
    further_config,
    has_graph,
    input_layer,
    is_graph_model,
    sublayers,
)
from keras_lbreg.models.layer_state import (
    copy_state,
    ensure_built,
    transfer_by_name,
)


def rebuild(
    model,
    replace,
    transfer=None,
    call=None,
    model_class=None,
    model_kwargs=None,
):
    """A fresh model like `model`, with some layers replaced.

    `model` and its layers stay as they are; nothing is shared with them.
    Weights, seed states, vocabularies, names, dtype policies and `trainable`
    flags are carried over, nested models are rebuilt too, and a layer that was
    called at several places has one counterpart called at the same places. The
    result is not compiled: an optimizer belongs to the variables it has seen,
    and after surgery those are others.

    The class of a nested or outer model is kept when it can be built by
    `cls(inputs, outputs, name=..., **rest)`, or for a Sequential model by
    `cls(layers, name=..., **rest)`, where `rest` are the entries of its config
    beyond a plain model's. Otherwise the result is a plain `keras.Model` or
    `keras.Sequential`.

    Args:
        model: A Functional or Sequential model
            (see `layer_search.check_graph_model`).
        replace: Callable from layer to its replacement, or to `None` for an
            ordinary copy. The replacement should bear the name of the layer.
            It is called once for every layer, in order of call, never for a
            nested model, nor for an input.
        transfer: Optional callable `transfer(old, new)` that carries the
            weights of a replaced layer over. By default, variables of the same
            name and shape are copied.
        call: Optional callable `call(node, new, *args, **kwargs)` that is to
            return `new(*args, **kwargs)`, or what stands in its place, at every
            call in the graph of a Functional model. `node` is the old call (see
            `calls_in_order`); its `operation` may be a layer, a nested model or
            a plain operation. It is `None` in an outer Sequential model; the
            layers inside a nested one are called by Keras itself.
        model_class: Class of the result instead of `model`'s own. It is built
            by `model_class(inputs, outputs, name=..., **model_kwargs)`, or if
            it is `keras.Sequential`, from the layers, which then have to be a
            chain.
        model_kwargs: Further arguments of `model_class`.

    Returns:
        The new model.
    """
    return _Rebuild(replace, transfer, call).outer(
        model, model_class, model_kwargs
    )


class _Rebuild:
    """One rebuilding: remembers which new layer stands for which old one."""

    def __init__(self, replace, transfer, call):
        self.replace = replace
        self.transfer = transfer or transfer_by_name
        self.call = call or (lambda node, new, *args, **kw: new(*args, **kw))
        self.counterparts = {}
        self.copied = []
        self.replaced = []
        self.models = []

    def outer(self, model, model_class, model_kwargs):
        if model_class is None:
            new = self.copy_model(model)
        elif issubclass(model_class, keras.Sequential):
            new = self.copy_sequential(model, model_class, model_kwargs)
        else:
            new = self.copy_graph(model, model_class, model_kwargs)
        for old, copy in self.copied:
            copy_state(old, copy)
        for old, replacement in self.replaced:
            ensure_built(old, replacement)
            self.transfer(old, replacement)
        self.copy_flags()
        return new

    def counterpart(self, operation):
        if id(operation) not in self.counterparts:
            self.counterparts[id(operation)] = self.make(operation)
        return self.counterparts[id(operation)]

    def make(self, operation):
        if is_graph_model(operation):
            return self.copy_model(operation)
        if not isinstance(operation, keras.layers.Layer):
            return type(operation).from_config(operation.get_config())
        new = self.replace(operation)
        if new is None:
            new = _copy_layer(operation)
            self.copied.append((operation, new))
        else:
            self.replaced.append((operation, new))
        return new

    def copy_model(self, model):
        is_sequential = isinstance(model, keras.Sequential)
        copy = self.copy_sequential if is_sequential else self.copy_graph
        if can_be_kept(type(model)):
            return copy(model, type(model), further_config(model))
        return copy(model, keras.Sequential if is_sequential else keras.Model)

    def copy_sequential(self, model, model_class, kwargs=None):
        if isinstance(model, keras.Sequential):
            old_layers = model.layers
        else:
            old_layers = [node.operation for node in calls_in_order(model)]
        layers = [self.counterpart(layer) for layer in old_layers]
        if has_graph(model):
            layers.insert(0, _copy_input(model.inputs[0]))
        new = model_class(layers, name=model.name, **(kwargs or {}))
        self.models.append((model, new))
        return new

    def copy_graph(self, model, model_class, kwargs=None):
        tensors = {id(x): _copy_input(x) for x in model.inputs}
        if isinstance(model, keras.Sequential):
            x = tensors[id(model.inputs[0])]
            for layer in model.layers:
                x = self.call(None, self.counterpart(layer), x)
            inputs, outputs = tensors[id(model.inputs[0])], x
        else:
            for node in calls_in_order(model):
                args, kw = node.arguments.fill_in(tensors)
                new = self.counterpart(node.operation)
                result = self.call(node, new, *args, **kw)
                for x, y in zip(
                    node.outputs, keras.tree.flatten(result), strict=True
                ):
                    tensors[id(x)] = y
            inputs, outputs = keras.tree.map_structure(
                lambda x: tensors[id(x)], (model.input, model.output)
            )
        new = model_class(inputs, outputs, name=model.name, **(kwargs or {}))
        self.models.append((model, new))
        return new

    def copy_flags(self):
        # Setting `trainable` on a model or layer sets it on all inside it, so
        # the flags are set from the outside in.
        for old, new in reversed(self.models):
            new.trainable = old.trainable
            if new.dtype_policy != old.dtype_policy:
                new.dtype_policy = old.dtype_policy
        for old, new in self.replaced:
            new.trainable = old.trainable
        for old, new in self.copied:
            new.trainable = old.trainable
            for inner_old, inner_new in zip(
                sublayers(old), sublayers(new), strict=True
            ):
                inner_new.trainable = inner_old.trainable


def _copy_layer(layer):
    config = layer.get_config()
    if isinstance(layer, keras.layers.Lambda):
        # The function is the caller's own, alive in this process: there is
        # nothing to deserialize, hence nothing unsafe about it.
        for name in ("function", "output_shape", "mask", "arguments"):
            if name in config:
                config[name] = getattr(
                    layer, "_output_shape" if name == "output_shape" else name
                )
        return type(layer)(**config)
    return type(layer).from_config(config)


def _copy_input(tensor):
    """A fresh input like the one that `tensor` is."""
    layer = input_layer(tensor)
    return type(layer).from_config(layer.get_config()).output
