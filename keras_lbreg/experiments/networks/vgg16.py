"""VGG16 with batch normalization, for small images."""

import keras

from keras_lbreg.experiments.networks.batch_normalization import (
    batch_normalization,
)
from keras_lbreg.experiments.networks.inputs import normalized_inputs

# Channels of the convolutions of each stage; a pooling follows every stage.
STAGES = (
    (64, 64),
    (128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (512, 512, 512),
)


def vgg16(dataset, hidden=(4096, 4096)):
    """Thirteen 3x3 convolutions with batch normalization, three dense layers.

    [conv 3x3, batch normalization, ReLU] two or three times in five stages,
    each followed by max pooling 2/2; then [dense, ReLU, dropout 0.5] for each
    of `hidden`, and the logits. Neither source paper prints its VGG: the depth
    and the dense layers are the usual ones (512-4096-4096-classes on 32x32
    images), and 33,642,442 parameters on CIFAR-10 follow.

    Args:
        dataset: The `Dataset` to build for, with images of at least 32x32.
        hidden: Units of the hidden dense layers.

    Returns:
        An uncompiled `keras.Model`; convolutions are named `conv_1` ...
        `conv_13`.

    Example:

    >>> model = vgg16(load_dataset("cifar10"))

    Reference: https://arxiv.org/abs/1409.1556
    """
    inputs, x = normalized_inputs(dataset)
    index = 0
    for stage, widths in enumerate(STAGES, 1):
        for width in widths:
            index += 1
            x = keras.layers.Conv2D(
                width,
                3,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
                name=f"conv_{index}",
            )(x)
            x = batch_normalization(f"norm_{index}")(x)
            x = keras.layers.ReLU(name=f"relu_{index}")(x)
        x = keras.layers.MaxPooling2D(2, name=f"pool_{stage}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for index, units in enumerate(hidden, 1):
        x = keras.layers.Dense(
            units,
            activation="relu",
            kernel_initializer="he_normal",
            name=f"dense_{index}",
        )(x)
        x = keras.layers.Dropout(0.5, name=f"dropout_{index}")(x)
    logits = keras.layers.Dense(dataset.classes, name="logits")(x)
    return keras.Model(inputs, logits, name="network")
