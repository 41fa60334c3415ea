"""AlexNet with batch normalization, as Hoffer et al. have it."""

import keras

from keras_lbreg.experiments.networks.batch_normalization import (
    batch_normalization,
)
from keras_lbreg.experiments.networks.inputs import normalized_inputs


def alexnet(dataset):
    """The "one weird trick" AlexNet with batch normalization.

    ```
    conv 64 11x11/4, pool, norm, ReLU
    conv 192 5x5,    pool, ReLU, norm
    conv 384 3x3,    ReLU, norm
    conv 256 3x3,    ReLU, norm
    conv 256 3x3,    pool, ReLU, norm
    2 x [dense 4096, norm, ReLU, dropout 0.5], logits
    ```

    Every pooling is a max pooling 3/2. No biases but in the last layer.

    Args:
        dataset: The `Dataset` to build for, with images of 224x224 in the
            paper.

    Returns:
        An uncompiled `keras.Model`; convolutions are named `conv_1` ...
        `conv_5`.

    Example:

    >>> model = alexnet(imagenet)

    Reference: https://arxiv.org/abs/1404.5997, with the normalizations of
    https://arxiv.org/abs/1705.08741
    """
    inputs, x = normalized_inputs(dataset)
    # Two pixels on each side, as the paper's framework pads.
    x = keras.layers.ZeroPadding2D(2, name="pad")(x)
    x = convolution(x, 64, 11, "conv_1", strides=4, padding="valid")
    x = pooling(x, 1)
    x = batch_normalization("norm_1")(x)
    x = relu(x, 1)
    x = relu(pooling(convolution(x, 192, 5, "conv_2"), 2), 2)
    x = batch_normalization("norm_2")(x)
    for index, width in ((3, 384), (4, 256)):
        x = relu(convolution(x, width, 3, f"conv_{index}"), index)
        x = batch_normalization(f"norm_{index}")(x)
    x = relu(pooling(convolution(x, 256, 3, "conv_5"), 5), 5)
    x = batch_normalization("norm_5")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for index in (1, 2):
        x = keras.layers.Dense(4096, use_bias=False, name=f"dense_{index}")(x)
        x = batch_normalization(f"dense_norm_{index}")(x)
        x = keras.layers.ReLU(name=f"dense_relu_{index}")(x)
        x = keras.layers.Dropout(0.5, name=f"dropout_{index}")(x)
    logits = keras.layers.Dense(dataset.classes, name="logits")(x)
    return keras.Model(inputs, logits, name="network")


def convolution(x, width, size, name, strides=1, padding="same"):
    return keras.layers.Conv2D(
        width, size, strides=strides, padding=padding, use_bias=False, name=name
    )(x)


def pooling(x, index):
    return keras.layers.MaxPooling2D(3, 2, name=f"pool_{index}")(x)


def relu(x, index):
    return keras.layers.ReLU(name=f"relu_{index}")(x)
