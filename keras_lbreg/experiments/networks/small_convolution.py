"""A small convolutional network for images of any size."""

import keras

from keras_lbreg.experiments.networks.batch_normalization import (
    batch_normalization,
)


def small_convolution(dataset, widths=(32, 64, 128)):
    """3x3 convolutions of growing width, pooled in between and at the end.

    Args:
        dataset: The `Dataset` to build for.
        widths: Channels of the convolutions.

    Returns:
        An uncompiled `keras.Model`; the convolutions are named `conv_1`,
        `conv_2`, ...

    Example:

    >>> model = small_convolution(load_dataset("caltech101"))

    Reference: our own choice for datasets without a paper's network.
    """
    mean, variance = dataset.moments()
    layers = [
        keras.Input(dataset.input_shape, dtype=str(dataset.x_train.dtype)),
        keras.layers.Normalization(mean=mean, variance=variance),
    ]
    for index, width in enumerate(widths, 1):
        layers += [
            keras.layers.Conv2D(
                width, 3, padding="same", use_bias=False, name=f"conv_{index}"
            ),
            batch_normalization(f"norm_{index}"),
            keras.layers.ReLU(),
        ]
        if index < len(widths):
            layers.append(keras.layers.MaxPooling2D(2, padding="same"))
    layers += [
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(dataset.classes, name="logits"),
    ]
    return keras.Sequential(layers, name="network")
