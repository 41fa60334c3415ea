"""MobileNetV2 for small images."""

import keras

from keras_lbreg.experiments.networks.batch_normalization import (
    batch_normalization,
)
from keras_lbreg.experiments.networks.inputs import normalized_inputs

# Expansion, channels, blocks and stride of each stage, from the paper's
# Table 2 with strides for 32x32 images: 8 times in all instead of 32 times.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(dataset):
    """Seventeen inverted residual blocks, with strides for 32x32 images.

    `keras.applications.MobileNetV2` reduces its input 32 times, which leaves
    one pixel of a CIFAR image; here the first convolution and the second stage
    keep the size, so that the last blocks see 4x4 pixels. 2,236,682 parameters
    on CIFAR-10.

    Args:
        dataset: The `Dataset` to build for.

    Returns:
        An uncompiled `keras.Model`. The depthwise convolutions are named
        `block_1_depthwise` ... `block_17_depthwise`.

    Example:

    >>> model = mobilenet_v2(load_dataset("cifar10"))

    Reference: https://arxiv.org/abs/1801.04381
    """
    inputs, x = normalized_inputs(dataset)
    x = convolution(x, 32, 3, "stem")
    block = 0
    for expansion, width, blocks, first_stride in STAGES:
        for position in range(blocks):
            block += 1
            stride = first_stride if position == 0 else 1
            x = inverted_residual(x, expansion, width, stride, f"block_{block}")
    x = convolution(x, 1280, 1, "head")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(dataset.classes, name="logits")(x)
    return keras.Model(inputs, logits, name="network")


def inverted_residual(x, expansion, width, stride, name):
    before = x
    if expansion > 1:
        x = convolution(x, expansion * x.shape[-1], 1, f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise",
    )(x)
    x = batch_normalization(f"{name}_depthwise_norm")(x)
    x = keras.layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = convolution(x, width, 1, f"{name}_project", activate=False)
    if stride == 1 and before.shape[-1] == width:
        x = keras.layers.Add(name=f"{name}_add")([before, x])
    return x


def convolution(x, width, size, name, activate=True):
    x = keras.layers.Conv2D(
        width, size, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = batch_normalization(f"{name}_norm")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x
