"""Hoffer et al.'s shallow convolutional network C1."""

import keras

from keras_lbreg.experiments.networks.batch_normalization import (
    batch_normalization,
)


def c1(dataset):
    """Two 5x5 convolutions of 64 channels and two hidden dense layers.

    [conv 64 5x5, max pool 3/2, batch normalization, ReLU] twice, then dense
    384 and 192, each with batch normalization, ReLU and dropout 0.5. No
    biases but in the last layer. 1,388,490 trainable parameters on CIFAR-10.

    Args:
        dataset: The `Dataset` to build for.

    Returns:
        An uncompiled `keras.Model`; the convolutions are named `conv_1` and
        `conv_2`.

    Example:

    >>> model = c1(load_dataset("cifar10"))

    Reference: https://arxiv.org/abs/1705.08741
    """
    mean, variance = dataset.moments()
    layers = [
        keras.Input(dataset.input_shape, dtype=str(dataset.x_train.dtype)),
        keras.layers.Normalization(mean=mean, variance=variance),
    ]
    for index in (1, 2):
        layers += [
            keras.layers.Conv2D(
                64, 5, padding="same", use_bias=False, name=f"conv_{index}"
            ),
            keras.layers.MaxPooling2D(3, 2),
            batch_normalization(f"conv_norm_{index}"),
            keras.layers.ReLU(),
        ]
    layers.append(keras.layers.Flatten())
    for index, units in enumerate((384, 192), 1):
        layers += [
            keras.layers.Dense(units, use_bias=False, name=f"dense_{index}"),
            batch_normalization(f"dense_norm_{index}"),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.5),
        ]
    layers.append(keras.layers.Dense(dataset.classes, name="logits"))
    return keras.Sequential(layers, name="network")
