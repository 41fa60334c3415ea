"""Ghost batch normalization for an existing model."""

import keras

from keras_lbreg.layers.ghost_batch_normalization import (
    GhostBatchNormalization,
)
from keras_lbreg.models.swap_normalization import swap_normalization


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
    is left as it is. The result is not compiled. Applied a second time,
    only the arguments of the layers change.

    Args:
        model: A Functional or Sequential model. Subclassed models do not tell
            which layers they call.
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
        A new model of the same class, where that can be built by
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

    def convert(layer):
        config = {
            **layer.get_config(),
            "ghost_batch_size": ghost_batch_size,
            "statistics": statistics,
        }
        # Not by `from_config`, which turns a refusal into a `TypeError`.
        return GhostBatchNormalization(**config)

    return swap_normalization(
        model,
        (keras.layers.BatchNormalization, GhostBatchNormalization),
        convert,
        layers,
        "Use `keras_lbreg.GhostBatchNormalization` where it makes its layers.",
    )
