"""Dense networks in the manner of Hoffer et al.'s F1."""

import keras

from keras_lbreg.experiments.networks.batch_normalization import (
    batch_normalization,
)


def fully_connected(dataset, widths):
    """`len(widths)` times [Dense, batch normalization, ReLU], then logits.

    F1 of the paper is `widths=(512,) * 5` on 28x28 images: 1,462,794 trainable
    parameters.

    Args:
        dataset: The `Dataset` to build for.
        widths: Units of the hidden layers.

    Returns:
        An uncompiled `keras.Model`; the hidden layers are named `dense_1`,
        `dense_2`, ...

    Example:

    >>> model = fully_connected(load_dataset("digits"), (128, 128))

    Reference: https://arxiv.org/abs/1705.08741
    """
    mean, variance = dataset.moments()
    layers = [
        keras.Input(dataset.input_shape, dtype=str(dataset.x_train.dtype)),
        keras.layers.Normalization(mean=mean, variance=variance),
        keras.layers.Flatten(),
    ]
    for index, width in enumerate(widths, 1):
        layers += [
            keras.layers.Dense(width, name=f"dense_{index}"),
            batch_normalization(f"norm_{index}"),
            keras.layers.ReLU(),
        ]
    layers.append(keras.layers.Dense(dataset.classes, name="logits"))
    return keras.Sequential(layers, name="network")
