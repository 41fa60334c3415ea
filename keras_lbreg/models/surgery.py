"""Rebuilding a model with some of its layers replaced."""

import collections
import functools
import inspect

import keras

from keras_lbreg.models._keras_graph import (
    calls_in_order,
    can_be_kept,
    config_with_ids,
    from_config_with_ids,
    further_config,
    has_graph,
    input_layer,
    is_graph_model,
    sublayers,
)
from keras_lbreg.models.layer_state import (
    assign_copy,
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
    called at several places has one counterpart called at the same places.
    Layers share weights exactly where they did before. The result is not
    compiled: an optimizer belongs to the variables it has seen. A class that
    `can_be_kept` is kept.

    `replace(layer)` gives the replacement, or None for an ordinary copy. It is
    called once for every layer, in order of call, never for a nested model, nor
    for an input. `transfer(old, new)` carries the weights of a replaced layer
    over; by default, variables of the same name and shape are copied.

    `call(node, new, *args, **kwargs)` is to return `new(*args, **kwargs)`, or
    what stands in its place, at every call in the graph of a Functional model.
    `node` is the old call (see `calls_in_order`), or None in an outer
    Sequential model; the layers of a nested one are called by Keras itself.
    """
    rebuilding = _Rebuild(model, replace, transfer, call)
    return rebuilding.outer(model, model_class, model_kwargs)


class _Rebuild:
    """One rebuilding: remembers the counterpart of each old layer."""

    def __init__(self, model, replace, transfer, call):
        self.replace = replace
        self.transfer = transfer or transfer_by_name
        self.call = call or (lambda node, new, *args, **kw: new(*args, **kw))
        self.counterparts = {}
        self.copied = []
        self.replaced = []
        self.models = []
        self.layers = list(_graph_layers(model))
        # Layers that belong to more than one layer of the graph.
        holders = collections.Counter(
            key
            for layer in self.layers
            for key in {id(layer), *map(id, _inside(layer))}
        )
        self.shared = {key for key, count in holders.items() if count > 1}
        self.owners = collections.defaultdict(list)
        for layer in self.layers:
            if not is_graph_model(layer):
                for variable in layer.variables:
                    self.owners[id(variable)].append(layer)
        self.in_the_making = set()

    def outer(self, model, model_class, model_kwargs):
        new = self.copy_model(model, model_class, model_kwargs)
        for old, replacement in self.replaced:
            ensure_built(old, replacement)
        self.check_borrowed_replacements()
        for old, copy in self.copied:
            copy_state(old, copy)
        for old, replacement in self.replaced:
            self.transfer(old, replacement)
        self.copy_variables_of_models()
        self.check_ties()
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
            self.in_the_making.add(id(operation))
            new = self.copy_layer(operation)
            self.in_the_making.discard(id(operation))
            self.copied.append((operation, new))
        else:
            self.replaced.append((operation, new))
        return new

    def copy_layer(self, layer):
        if isinstance(layer, keras.layers.Lambda):
            self.check_function(layer)
            return _copy_lambda(layer)
        inside = _inside(layer)
        shared = {id(x): x for x in inside if id(x) in self.shared}
        if shared:
            config = config_with_ids(layer, shared.values())
        else:
            config = layer.get_config()
        if any(map(_is_keras_object, keras.tree.flatten(config))):
            config = keras.tree.map_structure(self.fresh, config)
        if not shared:
            return type(layer).from_config(config)
        # A layer that only other layers hold has its counterpart from the
        # first of them.
        in_graph = {id(x) for x in self.layers}
        for key in shared.keys() & in_graph:
            ensure_built(shared[key], self.counterpart(shared[key]))
        made = {k: x for k, x in self.counterparts.items() if k in shared}
        new = from_config_with_ids(type(layer), config, made)
        new_inside = {id(x) for x in _inside(new)}
        for key in made:
            if id(made[key]) not in new_inside:
                raise _cannot_share(shared[key].name, layer.name)
        for old_inside, new_inside in zip(inside, _inside(new), strict=False):
            if id(old_inside) in self.shared:
                self.counterparts.setdefault(id(old_inside), new_inside)
        return new

    def fresh(self, value):
        """The counterpart of a layer or variable, or the value itself."""
        if isinstance(value, keras.Variable):
            return self.variable(value)
        if isinstance(value, keras.layers.Layer):
            new = self.counterpart(value)
            ensure_built(value, new)
            return new
        return value

    def variable(self, old):
        """The counterpart of a variable; itself, if no layer here has it."""
        for owner in self.owners.get(id(old), []):
            if id(owner) in self.in_the_making:
                continue
            new = self.counterpart(owner)
            ensure_built(owner, new)
            if _has_other_variables(owner, new):
                reason = f"its variable '{old.path}' is read by an operation"
                raise _cannot_replace(owner, new, reason)
            return _pairs(owner, new)[id(old)][1]
        return old

    def copy_model(self, model, model_class=None, kwargs=None):
        is_sequential = isinstance(model, keras.Sequential)
        if model_class is None and can_be_kept(type(model)):
            model_class, kwargs = type(model), further_config(model)
        elif model_class is None:
            model_class = keras.Sequential if is_sequential else keras.Model
        make = self.make_graph
        if issubclass(model_class, keras.Sequential):
            make = self.make_sequential
        new = make(model, model_class, name=model.name, **(kwargs or {}))
        self.models.append((model, new))
        return new

    def make_sequential(self, model, model_class, **kwargs):
        if isinstance(model, keras.Sequential):
            old_layers = model.layers
        else:
            old_layers = [node.operation for node in calls_in_order(model)]
        layers = [self.counterpart(layer) for layer in old_layers]
        if has_graph(model):
            layers.insert(0, _copy_input(model.inputs[0]))
        return model_class(layers, **kwargs)

    def make_graph(self, model, model_class, **kwargs):
        tensors = {id(x): _copy_input(x) for x in model.inputs}
        if isinstance(model, keras.Sequential):
            x = tensors[id(model.inputs[0])]
            for layer in model.layers:
                x = self.call(None, self.counterpart(layer), x)
            inputs, outputs = tensors[id(model.inputs[0])], x
        else:
            for node in calls_in_order(model):
                args, kw = keras.tree.map_structure(
                    lambda x: (
                        self.fresh(x) if isinstance(x, keras.Variable) else x
                    ),
                    node.arguments.fill_in(tensors),
                )
                new = self.counterpart(node.operation)
                result = self.call(node, new, *args, **kw)
                for x, y in zip(
                    node.outputs, keras.tree.flatten(result), strict=True
                ):
                    tensors[id(x)] = y
            inputs, outputs = keras.tree.map_structure(
                lambda x: tensors[id(x)], (model.input, model.output)
            )
        return model_class(inputs, outputs, **kwargs)

    def copy_variables_of_models(self):
        """Copies what models have beside the layers of their graph."""
        known = {
            id(variable)
            for old, new in [*self.copied, *self.replaced]
            for layer in (old, new)
            for variable in layer.variables
        }
        for old, new in self.models:
            own = [
                [v for v in model.variables if id(v) not in known]
                for model in (old, new)
            ]
            if _shapes(own[0]) != _shapes(own[1]):
                raise ValueError(
                    f"Model '{old.name}' has variables that belong to no layer "
                    "of its graph, and its copy has not. Move them into a "
                    "layer, or make them in the constructor of a subclass of "
                    "`keras.Model` that takes `(inputs, outputs, name=...)`. "
                    f"Received: variables {[v.path for v in own[0]]}"
                )
            for source, target in zip(*own, strict=True):
                assign_copy(target, source)
            known.update(id(v) for model in own for v in model)

    def check_borrowed_replacements(self):
        """Refuses to replace what another layer uses by something else."""
        replaced = {id(old): new for old, new in self.replaced}
        for holder, _ in self.copied:
            for old in _inside(holder):
                new = replaced.get(id(old))
                if new is not None and _has_other_variables(old, new):
                    raise _cannot_replace(
                        old, new, f"layer '{holder.name}' uses it"
                    )

    def check_ties(self):
        """Layers share variables exactly where they did before."""
        news, olds = {}, {}
        for old_layer, new_layer in [*self.copied, *self.replaced]:
            for old, new in _pairs(old_layer, new_layer).values():
                if old is new:
                    raise ValueError(
                        f"The copy of layer '{old_layer.name}' uses the "
                        f"weights of the model itself ('{old.path}'). Let its "
                        "`from_config()` make layers and weights of its own."
                    )
                for known, key, value in ((news, old, new), (olds, new, old)):
                    name, other = known.setdefault(
                        id(key), (old_layer.name, value)
                    )
                    if other is not value:
                        raise _cannot_share(name, old_layer.name)

    def check_function(self, layer):
        """Refuses a Lambda layer whose function uses weights of the model."""
        used = [
            x
            for part in (layer.function, layer.mask, layer.arguments)
            if part
            for x in _objects_used(part)
        ]
        for x in filter(_is_keras_object, used):
            variables = [x] if isinstance(x, keras.Variable) else x.variables
            for variable in variables:
                if id(variable) in self.owners:
                    owner = self.owners[id(variable)][0]
                    raise ValueError(
                        f"Lambda layer '{layer.name}' uses weights of layer "
                        f"'{owner.name}', which its copy cannot share. Write "
                        "it as a `keras.layers.Layer` with that layer as an "
                        "argument of its constructor. "
                        f"Received: layer={layer!r}"
                    )

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


def _graph_layers(model):
    """The layers and nested models of a graph, each once, without `model`."""
    found = {}
    for layer in model.layers:
        found[id(layer)] = layer
        if is_graph_model(layer):
            found.update((id(x), x) for x in _graph_layers(layer))
    return found.values()


def _inside(layer):
    """What is inside a layer; of a nested model's layers each is its own."""
    return [] if is_graph_model(layer) else sublayers(layer)


def _is_keras_object(value):
    return isinstance(value, (keras.layers.Layer, keras.Variable))


def _pairs(old, new):
    """Old and new variable by the id of the old one."""
    olds, news = old.variables, new.variables
    if [(v.name, v.shape) for v in olds] != [(v.name, v.shape) for v in news]:
        by_name = {v.name: v for v in news}
        olds = [
            v
            for v in olds
            if v.name in by_name and by_name[v.name].shape == v.shape
        ]
        news = [by_name[v.name] for v in olds]
    return {id(o): (o, n) for o, n in zip(olds, news, strict=True)}


def _shapes(variables):
    return [variable.shape for variable in variables]


def _has_other_variables(old, new):
    return _shapes(old.variables) != _shapes(new.variables)


def _cannot_replace(old, new, reason):
    return ValueError(
        f"Layer '{old.name}' cannot be replaced by one of type {type(new)}, "
        f"which has other variables: {reason}. "
        f"Choose another layer. Received: layer={old!r}"
    )


def _cannot_share(name, other):
    return ValueError(
        f"Layers '{name}' and '{other}' share weights, and their copies would "
        "not. Pass the layer that owns the weights to the constructor of the "
        "other, and let `get_config()` and `from_config()` serialize and "
        "deserialize it."
    )


def _copy_lambda(layer):
    # The function is the caller's own, alive in this process: there is
    # nothing to deserialize, hence nothing unsafe about it.
    config = layer.get_config()
    for name in ("function", "output_shape", "mask", "arguments"):
        if name in config:
            config[name] = getattr(
                layer, "_output_shape" if name == "output_shape" else name
            )
    return type(layer)(**config)


def _objects_used(function):
    """What a function refers to by closure, globals, defaults or binding."""
    if isinstance(function, functools.partial):
        used = [*_objects_used(function.func), function.args, function.keywords]
    elif inspect.ismethod(function):
        used = [function.__self__, *_objects_used(function.__func__)]
    elif inspect.isfunction(function):
        names = inspect.getclosurevars(function)
        used = [
            names.nonlocals,
            names.globals,
            function.__defaults__,
            function.__kwdefaults__,
        ]
    else:
        used = [function]
    return keras.tree.flatten(used)


def _copy_input(tensor):
    """A fresh input like the one that `tensor` is."""
    layer = input_layer(tensor)
    return type(layer).from_config(layer.get_config()).output
