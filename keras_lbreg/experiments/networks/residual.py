"""Residual networks for small images: ResNet44, ResNet18, wide ones."""

import keras

from keras_lbreg.experiments.networks.batch_normalization import (
    batch_normalization,
)
from keras_lbreg.experiments.networks.inputs import normalized_inputs


def residual_network(dataset, blocks, widths, stem=None):
    """A residual network of post-activation basic blocks.

    A 3x3 convolution to `stem` channels, then one stage for each of `widths`,
    of `blocks` blocks

    ```
    y = relu(norm(conv3x3(relu(norm(conv3x3(x))))) + shortcut(x))
    ```

    The first block of every stage but the first halves height and width. A
    shortcut is the identity, or a 1x1 convolution with batch normalization
    where the shape changes. Global average pooling, then the logits. No
    biases in the convolutions.

    Args:
        dataset: The `Dataset` to build for.
        blocks: Blocks in each stage.
        widths: Channels of the stages.
        stem: Channels of the first convolution. Defaults to the first width.

    Returns:
        An uncompiled `keras.Model`. The second convolution of block `b` in
        stage `s` is named `stage_{s}_block_{b}_conv_2`.

    Example:

    >>> model = residual_network(dataset, blocks=7, widths=(16, 32, 64))

    Reference: https://arxiv.org/abs/1512.03385, and for the variant
    https://arxiv.org/abs/1705.08741
    """
    inputs, x = normalized_inputs(dataset)
    stem = widths[0] if stem is None else stem
    x = convolution(x, stem, 3, 1, "stem_conv")
    x = batch_normalization("stem_norm")(x)
    x = keras.layers.ReLU(name="stem_relu")(x)
    for stage, width in enumerate(widths, 1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = basic_block(x, width, stride, f"stage_{stage}_block_{block}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(dataset.classes, name="logits")(x)
    return keras.Model(inputs, logits, name="network")


def resnet44(dataset):
    """He et al.'s ResNet of 44 layers for CIFAR: 661,338 parameters."""
    return residual_network(dataset, blocks=7, widths=(16, 32, 64))


def resnet18(dataset):
    """ResNet18 with a 3x3 stem, as usual for CIFAR: 11,173,962 parameters."""
    return residual_network(dataset, blocks=2, widths=(64, 128, 256, 512))


def wide_resnet16_4(dataset):
    """Hoffer et al.'s WResnet16-4: 2,800,804 parameters at 100 classes."""
    return residual_network(dataset, blocks=2, widths=(64, 128, 256))


def basic_block(x, width, stride, name):
    shortcut = x
    if stride != 1 or x.shape[-1] != width:
        shortcut = convolution(x, width, 1, stride, f"{name}_shortcut_conv")
        shortcut = batch_normalization(f"{name}_shortcut_norm")(shortcut)
    x = convolution(x, width, 3, stride, f"{name}_conv_1")
    x = batch_normalization(f"{name}_norm_1")(x)
    x = keras.layers.ReLU(name=f"{name}_relu_1")(x)
    x = convolution(x, width, 3, 1, f"{name}_conv_2")
    x = batch_normalization(f"{name}_norm_2")(x)
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu_2")(x)


def convolution(x, width, size, stride, name):
    return keras.layers.Conv2D(
        width,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(
            2.0, mode="fan_out", distribution="untruncated_normal"
        ),
        name=name,
    )(x)
