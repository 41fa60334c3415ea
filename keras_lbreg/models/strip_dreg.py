"""The plain model of one path of a DReg model."""

import warnings

from keras_lbreg.layers.dreg_layer import DRegLayer
from keras_lbreg.layers.path_normalization import PathNormalization
from keras_lbreg.layers.paths import PathFork, is_left
from keras_lbreg.models.apply_dreg import TWINS
from keras_lbreg.models.dreg_model import plain_class
from keras_lbreg.models.layer_search import (
    check_graph_model,
    check_shapes_are_known,
    find_layers,
)
from keras_lbreg.models.layer_state import assign_copy, transfer_by_name
from keras_lbreg.models.surgery import rebuild
from keras_lbreg.warnings import NoEffectWarning

SETTINGS = (
    "weight",
    "distance",
    "max_distance",
    "init_distance",
    "paths",
    "seed",
)


def strip_dreg(model, path="active"):
    """A plain copy of a model with DReg layers, with one path's weights.

    It undoes `keras_lbreg.apply_dreg`: the architecture, and the names and
    classes of the layers, are those of the model it was applied to. For one
    sample,

    ```
    strip_dreg(model, path)(x) = l(x; W, W_path)
    ```

    with the path's kernels and its normalization statistics. `model` itself is
    left as it is. The new model is not compiled. A Sequential model that
    became a `DRegModel` comes back as a `keras.Sequential`, any other
    `DRegModel` as a `keras.Model`.

    Args:
        model: A Functional or Sequential model with DReg layers.
        path: `"active"` (the default, the path used at inference), `"right"`
            or `"left"`.

    Returns:
        The new model, without anything of this package in it. If there is no
        DReg layer, a copy, with a `NoEffectWarning`.

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
        "a plain layer instead.",
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
        if isinstance(old, DRegLayer):
            config = old.get_config()
            for name in SETTINGS:
                del config[name]
            return _plain_class(old).from_config(config)
        if isinstance(old, PathNormalization):
            inner = old.layer
            return type(inner).from_config(inner.get_config())
        return None

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

    def call(node, new, *args, **kwargs):
        if isinstance(new, PathFork):
            return args[0]
        return new(*args, **kwargs)

    return rebuild(
        model, replace, transfer, call, model_class=plain_class(model)
    )


def _plain_class(layer):
    return next(
        plain for plain, twin in TWINS.items() if isinstance(layer, twin)
    )
