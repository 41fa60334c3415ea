"""Distinctive regularization for an existing model, and the way back."""

import warnings

import keras

from keras_lbreg.checks import invalid
from keras_lbreg.layers._keras_layer import own_state
from keras_lbreg.layers.dreg_conv2d import DRegConv2D
from keras_lbreg.layers.dreg_dense import DRegDense
from keras_lbreg.layers.dreg_depthwise_conv2d import DRegDepthwiseConv2D
from keras_lbreg.layers.dreg_layer import DRegLayer
from keras_lbreg.layers.path_normalization import PathNormalization
from keras_lbreg.layers.paths import PathFork, is_left
from keras_lbreg.models._keras_graph import is_graph_model, sublayers
from keras_lbreg.models.dreg_model import DRegModel, plain_class
from keras_lbreg.models.layer_search import (
    check_graph_model,
    check_nothing_is_lost,
    check_shapes_are_known,
    find_layers,
    resolve_layer,
)
from keras_lbreg.models.layer_state import assign_copy, transfer_by_name
from keras_lbreg.models.path_graph import PathGraph
from keras_lbreg.models.surgery import rebuild
from keras_lbreg.warnings import NoEffectWarning

TWINS = {
    keras.layers.Conv2D: DRegConv2D,
    keras.layers.DepthwiseConv2D: DRegDepthwiseConv2D,
    keras.layers.Dense: DRegDense,
}
CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)
SETTINGS = (
    "weight",
    "distance",
    "max_distance",
    "init_distance",
    "paths",
    "seed",
)


def apply_dreg(
    model,
    layer="last_conv",
    weight=0.01,
    distance="bounded",
    max_distance=None,
    init_distance=0.01,
    paths="both",
    path_reduction="sum",
    seed=None,
):
    """A copy of a model with distinctive regularization (DReg).

    The chosen layers get a second kernel, and the model is trained with the
    loss

    ```
    L = l(x; W, W_R) + l(x; W, W_L) − λ d(W_R, W_L)
    ```

    The weights are kept: W_R is the layer's kernel, and W_L that kernel with a
    random perturbation of relative size `init_distance`, so that the new model
    predicts at first what `model` does. `model` itself is left as it is.

    Batch normalizations behind a DReg layer, ghost ones too, keep statistics
    for each path. A warning names other layers behind it that have state of
    their own. Of several DReg layers in series, the first forks the batch.
    Applying it again to a layer changes its settings and keeps its weights.

    Args:
        model: A Functional or Sequential model.
        layer: Which layers: `"last_conv"`, the last convolution with a kernel
            larger than 1x1 (if it is of a kind that cannot be doubled, such as
            a `SeparableConv2D`, the last one that can be, with a warning); a
            name; a path in a nested model (`"backbone/conv1"`); an index from
            the output among the layers that are possible (`-1`); or a list of
            these. `Conv2D`, `DepthwiseConv2D` and `Dense` are possible. The
            paper recommends a layer close to the output.
        weight: λ. Defaults to `0.01`.
        distance: `"bounded"` or `"frobenius"`, see `keras_lbreg.DRegConv2D`.
        max_distance: Optional number, beyond which the penalty has no gradient.
        init_distance: As in `keras_lbreg.DRegConv2D`.
        paths: `"both"` (the default): every sample takes both paths, and the
            result is a `keras_lbreg.DRegModel`. `"split"`: one half of the
            batch takes each path, at the cost of a plain model.
        path_reduction: `"sum"` (the default, the paper's) or `"mean"` of the
            two path losses; without effect on `paths="split"`.
        seed: Optional integer, the seed of the perturbation.

    Returns:
        The new model, not compiled: a `keras_lbreg.DRegModel`, or with
        `paths="split"` a model of the same class, where the class can be built
        by `cls(inputs, outputs, name=...)` or `cls(layers, name=...)`, else a
        plain `keras.Model` or `keras.Sequential`.

    Raises:
        ValueError: If an argument is out of its range, a layer is not found or
            of another type, its kernel is zero, a stateful recurrent layer
            would see both paths, or `model` is a subclassed model, a Sequential
            one that was not built yet, or of a class whose methods (`call`,
            `train_step`, ...) would be lost.

    Example:

    >>> model = keras.applications.MobileNetV2(
    ...     weights=None, input_shape=(96, 96, 3), classes=10
    ... )
    >>> model = keras_lbreg.apply_dreg(model, layer="block_16_depthwise")
    >>> model.compile("sgd", "sparse_categorical_crossentropy")

    Reference:

    - [Yuan et al., 2020](https://arxiv.org/abs/2011.08968)
    """
    check_graph_model(
        model,
        "Use `keras_lbreg.DRegConv2D` and its siblings inside the model's own "
        "code instead",
    )
    check_shapes_are_known(model)
    if paths == "both" and not isinstance(model, DRegModel):
        check_nothing_is_lost(
            model, 'Use `paths="split"`, which keeps the class'
        )
    targets = {id(x) for x in _find(model, layer)}
    sources = targets | {
        id(x) for x in find_layers(model).values() if isinstance(x, DRegLayer)
    }
    # The forks of a model with DReg are no sources: they are made anew.
    graph = PathGraph(
        model,
        is_source=lambda x: id(x) in sources,
        is_uniform=lambda x: (
            id(x) in sources or is_graph_model(x) or _keeps_statistics(x)
        ),
    )
    _check_state_behind_fork(model, graph, paths)
    settings = {
        "weight": weight,
        "distance": distance,
        "max_distance": max_distance,
        "init_distance": init_distance,
        "seed": seed,
    }

    def replace(old):
        is_forked = id(old) in graph.forked_layers
        if id(old) in sources:
            new = settings if id(old) in targets else {}
            return _twin(old, {**new, "paths": "split" if is_forked else paths})
        if is_forked and isinstance(old, keras.layers.BatchNormalization):
            return PathNormalization(
                type(old).from_config(old.get_config()), name=old.name
            )
        return None

    forks = {}

    def fork(x):
        if id(x) not in forks:
            # The tensor is kept too: its id must stay its own.
            forks[id(x)] = (PathFork()(x), x)
        return forks[id(x)][0]

    def call(node, new, *args, **kwargs):
        to_fork = graph.to_fork.get(id(node))
        if to_fork and paths == "both":
            args, kwargs = keras.tree.map_structure(
                lambda old, x: fork(x) if id(old) in to_fork else x,
                (node.arguments.args, node.arguments.kwargs),
                (args, kwargs),
            )
        return _call_without_fork(node, new, *args, **kwargs)

    model_class, model_kwargs = plain_class(model), None
    if paths == "both":
        plain = model_class or type(model)
        model_kwargs = {
            "path_reduction": path_reduction,
            "from_sequential": issubclass(plain, keras.Sequential),
        }
        model_class = DRegModel
    return rebuild(model, replace, _transfer, call, model_class, model_kwargs)


def strip_dreg(model, path="active"):
    """A plain copy of a model with DReg layers, with one path's weights.

    It undoes `keras_lbreg.apply_dreg`: the architecture, and the names and
    classes of the layers, are those of the model it was applied to. For one
    sample,

    ```
    strip_dreg(model, path)(x) = l(x; W, W_path)
    ```

    with the path's kernels and its normalization statistics. A Sequential model
    that became a `DRegModel` comes back as a `keras.Sequential`, any other
    `DRegModel` as a `keras.Model`.

    Args:
        model: A Functional or Sequential model with DReg layers. It is left as
            it is.
        path: `"active"` (the default, the path used at inference), `"right"`
            or `"left"`.

    Returns:
        The new model, not compiled, without anything of this package in it. If
        there is no DReg layer, a copy, with a `NoEffectWarning`.

    Raises:
        ValueError: If `path` is something else, or `model` is a subclassed
            model, or a Sequential one that was not built yet.

    Example:

    >>> plain = keras_lbreg.strip_dreg(model)
    >>> plain.save("plain.keras")

    Reference:

    - [Yuan et al., 2020](https://arxiv.org/abs/2011.08968)
    """
    check_graph_model(
        model,
        "Copy the kernel of the path you want (`kernel`, `kernel_left`) into "
        "a plain layer instead",
    )
    check_shapes_are_known(model)
    if path != "active":
        is_left(path)
    if not find_layers(model, lambda layer: isinstance(layer, DRegLayer)):
        warnings.warn(
            f"Model '{model.name}' has no DReg layer: there is nothing to "
            "strip.",
            NoEffectWarning,
            stacklevel=2,
        )

    def replace(old):
        if isinstance(old, PathNormalization):
            inner = old.layer
            return type(inner).from_config(inner.get_config())
        if not isinstance(old, DRegLayer):
            return None
        config = old.get_config()
        for name in SETTINGS:
            del config[name]
        [plain] = [c for c, twin in TWINS.items() if isinstance(old, twin)]
        return plain.from_config(config)

    def transfer(old, new):
        use_left = is_left(old.active_path if path == "active" else path)
        if isinstance(old, DRegLayer):
            transfer_by_name(old, new)
            if use_left:
                assign_copy(new.kernel, old.kernel_left)
            return
        transfer_by_name(old.layer, new)
        if use_left:
            by_name = {v.name: v for v in new.variables}
            for right, left in zip(
                old.right_statistics, old.left_statistics, strict=True
            ):
                assign_copy(by_name[right.name], left)

    return rebuild(
        model, replace, transfer, _call_without_fork, plain_class(model)
    )


def _call_without_fork(node, new, *args, **kwargs):
    return args[0] if isinstance(new, PathFork) else new(*args, **kwargs)


def dreg_candidates(model):
    """The layers that `apply_dreg` takes, by path, in order of call."""
    return find_layers(
        model, lambda x: type(x) in TWINS or isinstance(x, DRegLayer)
    )


def _find(model, which):
    """The layers that the caller chose."""
    candidates = dreg_candidates(model)
    chosen = [
        _last_convolution(model, candidates)
        if one == "last_conv"
        else resolve_layer(model, one, candidates)
        for one in (which if isinstance(which, (list, tuple)) else [which])
    ]
    if None in chosen or not chosen:
        expected = (
            f"one of {list(candidates)}; model '{model.name}' has no "
            "two-dimensional convolution that can be doubled"
        )
        raise invalid("layer", expected, which)
    return chosen


def _last_convolution(model, candidates):
    """The last spatial convolution; else the last one that can be doubled."""
    layers = find_layers(model)
    every_path = list(layers)
    convolutions = [
        path
        for path, x in candidates.items()
        if not isinstance(x, keras.layers.Dense)
    ]
    if not convolutions:
        return None
    spatial = [path for path in convolutions if _is_spatial(candidates[path])]
    first = every_path.index(spatial[-1]) + 1 if spatial else 0
    missed = [
        path
        for path in every_path[first:]
        if path not in convolutions
        and any(map(_is_spatial, [layers[path], *sublayers(layers[path])]))
    ]
    if not missed:
        return candidates[(spatial or convolutions)[-1]]
    taken = convolutions[-1]
    warnings.warn(
        f"DReg cannot double the last convolutions of model '{model.name}' "
        f"({missed[-1]!r} is a {type(layers[missed[-1]]).__name__}). "
        f'`layer="last_conv"` takes {taken!r}, layer '
        f"{every_path.index(taken) + 1} of {len(every_path)}. Pass the name of "
        f"another layer to choose it: one of {list(candidates)}.",
        stacklevel=4,
    )
    return candidates[taken]


def _is_spatial(layer):
    return isinstance(layer, CONVOLUTIONS) and any(
        size > 1 for size in layer.kernel_size
    )


def _twin(old, settings):
    if old.quantization_mode is not None:
        raise ValueError(
            f"Layer '{old.name}' is quantized and cannot be trained. Apply "
            "DReg before `quantize`."
        )
    twin_class = type(old) if isinstance(old, DRegLayer) else TWINS[type(old)]
    # Not by `from_config`, which turns a refusal into a `TypeError`.
    return twin_class(**{**old.get_config(), **settings})


def _keeps_statistics(layer):
    return isinstance(
        layer, (keras.layers.BatchNormalization, PathNormalization)
    )


def _check_state_behind_fork(model, graph, paths):
    """Refuses, or warns of, layers whose state would mix the two paths."""
    # The statistics of `Normalization` are fixed before training.
    kept_apart = (DRegLayer, keras.layers.Normalization)
    mixed = {}
    for path, layer in find_layers(model).items():
        if (
            id(layer) not in graph.forked_layers
            or _keeps_statistics(layer)
            or isinstance(layer, kept_apart)
        ):
            continue
        inner = [layer, *sublayers(layer)]
        if any(getattr(x, "stateful", False) for x in inner):
            if paths == "both":
                raise ValueError(
                    f"Layer '{path}' (of type {type(layer).__name__}) is "
                    "stateful: it keeps one state for each sample of a batch, "
                    'but with `paths="both"` it would get each sample twice. '
                    'Use `paths="split"`, or a `layer` behind it.'
                )
            continue
        state = [] if layer.quantization_mode else own_state(layer)
        if state:
            mixed[path] = (type(layer).__name__, [v.path for v in state])
    if mixed:
        warnings.warn(
            "These layers behind the doubled one have state of their own, in "
            "which both paths of DReg are mixed: "
            f"{mixed}. Of batch normalization, use Keras's as a layer of the "
            "model itself to keep the paths apart.",
            stacklevel=3,
        )


def _transfer(old, new):
    if isinstance(new, PathNormalization):
        transfer_by_name(old, new.layer)
        for left, right in zip(
            new.left_statistics, new.right_statistics, strict=True
        ):
            assign_copy(left, right)
        return
    transfer_by_name(old, new)
    if not isinstance(old, DRegLayer):
        new.reset_left()
