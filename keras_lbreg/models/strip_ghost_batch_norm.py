"""The way back from ghost batch normalization."""

import keras

from keras_lbreg.layers.ghost_batch_normalization import (
    GhostBatchNormalization,
)
from keras_lbreg.models.swap_normalization import swap_normalization


def strip_ghost_batch_norm(model):
    """A copy of a model with plain batch normalization in place of ghosts.

    Every `keras_lbreg.GhostBatchNormalization` becomes a
    `keras.layers.BatchNormalization` with the same weights, so that the model
    can be saved and loaded without this package. Predictions stay the same,
    as both infer by

    ```
    y = gamma * (x - moving_mean) / sqrt(moving_variance + epsilon) + beta
    ```

    The model passed is left as it is. The result is not compiled.

    Args:
        model: A Functional or Sequential model.

    Returns:
        A new model of the same class, where that can be built by
        `cls(inputs, outputs, name=...)` or `cls(layers, name=...)`, else a
        plain `keras.Model` or `keras.Sequential`.

    Raises:
        ValueError: If the model or a nested model with ghost batch
            normalization is subclassed, or its class has methods of its own
            (`call`, `train_step`, ...) that would be lost.

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

    return swap_normalization(
        model,
        (GhostBatchNormalization,),
        convert,
        None,
        "Use `keras.layers.BatchNormalization` where it makes its layers.",
    )
