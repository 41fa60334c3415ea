"""Ghost batch normalization for an existing model, and the way back."""

import numbers
import warnings

import keras

from keras_lbreg.checks import invalid
from keras_lbreg.layers.ghost_batch_normalization import (
    GhostBatchNormalization,
)
from keras_lbreg.layers.path_normalization import PathNormalization
from keras_lbreg.models.layer_search import (
    check_graph_model,
    find_hidden_layers,
    find_layers,
    resolve_layer,
)
from keras_lbreg.models.surgery import rebuild
from keras_lbreg.warnings import NoEffectWarning


def apply_ghost_batch_norm(
    model, ghost_batch_size=128, statistics="sequential", layers=None
):
    """A copy of a model that normalizes ghost batches.

    Every `keras.layers.BatchNormalization` becomes a
    `keras_lbreg.GhostBatchNormalization`, which in training cuts the batch
    into parts of `S = ghost_batch_size` samples and normalizes each by itself:

    ```
    y = gamma * (x - mu_i) / sqrt(var_i + epsilon) + beta    in ghost batch i
    ```

    Predictions stay what they are. Weights, layer names, `trainable` flags and
    dtype policies are carried over, nested models included; the model passed
    is left as it is. Applied a second time, only the arguments of the layers
    change.

    Args:
        model: A Functional or Sequential model.
        ghost_batch_size: Integer, number of samples in a ghost batch.
            Defaults to `128`.
        statistics: `"sequential"` or `"mean"`, how moving statistics are
            updated (see `GhostBatchNormalization`). Defaults to
            `"sequential"`.
        layers: The layers to convert: a list of names, paths in nested models
            (`"backbone/bn1"`), layers, or indices into the model's batch
            normalization layers in order of call (`-1` is the closest to the
            output). Defaults to all of them.

    Returns:
        A new model, not compiled, of the same class, where that can be built by
        `cls(inputs, outputs, name=...)` or `cls(layers, name=...)`, else a
        plain `keras.Model` or `keras.Sequential`.

    Raises:
        ValueError: If the model or a nested model with batch normalization is
            subclassed, its class has methods of its own (`call`,
            `train_step`, ...) that would be lost, a layer is not found, or
            normalizes in a way that ghosts exclude (`synchronized=True`).

    Example:

    ```python
    model = keras.applications.ResNet50(weights=None)
    model = keras_lbreg.apply_ghost_batch_norm(model, ghost_batch_size=128)
    model.compile("sgd", "sparse_categorical_crossentropy")
    ```

    Reference:

    - [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741)
    """

    settings = {"ghost_batch_size": ghost_batch_size, "statistics": statistics}

    def convert(layer):
        # Not by `from_config`, which turns a refusal into a `TypeError`.
        return GhostBatchNormalization(**{**layer.get_config(), **settings})

    return _swap(
        model,
        (keras.layers.BatchNormalization, GhostBatchNormalization),
        convert,
        layers,
        "Use `keras_lbreg.GhostBatchNormalization` where it makes its layers",
    )


def strip_ghost_batch_norm(model):
    """A copy of a model with plain batch normalization in place of ghosts.

    Every `keras_lbreg.GhostBatchNormalization` becomes a
    `keras.layers.BatchNormalization` with the same weights, so that the model
    can be saved and loaded without this package. Predictions stay the same.

    Args:
        model: A Functional or Sequential model. It is left as it is.

    Returns:
        A new model, as of `keras_lbreg.apply_ghost_batch_norm`.

    Raises:
        ValueError: As `keras_lbreg.apply_ghost_batch_norm`.

    Example:

    ```python
    model = keras_lbreg.strip_ghost_batch_norm(model)
    model.save("plain.keras")
    ```

    Reference:

    - [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741)
    """

    def convert(layer):
        config = layer.get_config()
        del config["ghost_batch_size"], config["statistics"]
        return keras.layers.BatchNormalization.from_config(config)

    return _swap(
        model,
        (GhostBatchNormalization,),
        convert,
        None,
        "Use `keras.layers.BatchNormalization` where it makes its layers",
    )


def _swap(model, source_classes, convert, layers, instead):
    """Rebuilds a model; `instead` says what to do where that cannot reach."""

    def is_source(layer):
        # A `PathNormalization` stays around the conversion of its layer.
        if isinstance(layer, PathNormalization):
            layer = layer.layer
        # A subclass may do something else.
        return type(layer) in source_classes

    check_graph_model(model, instead)
    candidates = find_layers(model, is_source)
    if layers is None:
        hidden = find_hidden_layers(model, is_source)
        if hidden:
            expected = (
                "batch normalization in Functional and Sequential models only. "
                "These layers are inside a subclassed model or a composite "
                f"layer: {hidden}. {instead}. To convert the other layers "
                "alone, name them in `layers`"
            )
            raise invalid("model", expected, model)
        chosen = list(candidates.values())
    else:
        if isinstance(layers, (str, numbers.Integral, keras.layers.Layer)):
            layers = [layers]
        chosen = [
            resolve_layer(model, which, candidates, "layers")
            for which in layers
        ]
    if not chosen:
        names = " or ".join(c.__name__ for c in source_classes)
        warnings.warn(
            f"Model '{model.name}' has no {names} layer to convert: it is "
            "copied as it is.",
            NoEffectWarning,
            stacklevel=3,
        )
    chosen_ids = {id(layer) for layer in chosen}

    def replace(layer):
        if id(layer) not in chosen_ids:
            return None
        if not isinstance(layer, PathNormalization):
            return convert(layer)
        return PathNormalization(
            convert(layer.layer), name=layer.name, dtype=layer.dtype_policy
        )

    return rebuild(model, replace)
