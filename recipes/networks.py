"""The papers' networks, and small ones of ours.

Each is a function of the `Images` it is for and returns an uncompiled
`keras.Model` whose first layer normalises the pixels and whose last one gives
logits.
"""

import typing

import keras

from keras_lbreg.workloads import networks
from keras_lbreg.workloads.networks import batch_normalization


class Images(typing.NamedTuple):
    """What a network has to know of its images."""

    input_shape: tuple
    dtype: str
    classes: int
    # Mean and variance of the pixels by channel.
    moments: tuple


def normalized_inputs(images):
    """An input and that input with mean 0 and variance 1 in each channel."""
    mean, variance = images.moments
    inputs = keras.Input(images.input_shape, dtype=images.dtype, name="images")
    normalize = keras.layers.Normalization(
        mean=mean, variance=variance, name="normalize"
    )
    return inputs, normalize(inputs)


def fully_connected(images, widths):
    """Dense layers with batch normalization and ReLU; F1 is 5 of 512."""
    return networks.fully_connected(*images, widths)


def small_convolution(images, widths=(32, 64, 128)):
    """3x3 convolutions, each normalised and pooled but for the last; ours."""
    return networks.small_convolution(*images, widths)


def c1(images):
    """Hoffer et al.'s C1: 1,388,490 parameters on CIFAR-10."""
    return networks.c1(*images)


def residual_network(images, blocks, widths):
    """A residual network of post-activation basic blocks.

    A 3x3 convolution, then one stage of `blocks` blocks for each of `widths`,

    ```
    y = relu(norm(conv3x3(relu(norm(conv3x3(x))))) + shortcut(x))
    ```

    The first block of every stage but the first halves height and width. A
    shortcut is the identity, or a 1x1 convolution with batch normalization
    where the shape changes. Global average pooling, then the logits. No
    biases in the convolutions.

    Reference: https://arxiv.org/abs/1512.03385, and for the variant
    https://arxiv.org/abs/1705.08741
    """
    inputs, x = normalized_inputs(images)
    x = residual_convolution(x, widths[0], 3, 1, "stem_conv")
    x = batch_normalization("stem_norm")(x)
    x = keras.layers.ReLU(name="stem_relu")(x)
    for stage, width in enumerate(widths, 1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = basic_block(x, width, stride, f"stage_{stage}_block_{block}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(images.classes, name="logits")(x)
    return keras.Model(inputs, logits, name="network")


def resnet44(images):
    """He et al.'s ResNet of 44 layers for CIFAR: 661,338 parameters."""
    return residual_network(images, blocks=7, widths=(16, 32, 64))


def resnet8(images):
    """The smallest of He et al.'s ResNets for CIFAR; ours, for 16x16."""
    return residual_network(images, blocks=1, widths=(16, 32, 64))


def resnet18(images):
    """ResNet18 with a 3x3 stem, as usual for CIFAR: 11,173,962 parameters."""
    return residual_network(images, blocks=2, widths=(64, 128, 256, 512))


def wide_resnet16_4(images):
    """Hoffer et al.'s WResnet16-4: 2,800,804 parameters at 100 classes."""
    return residual_network(images, blocks=2, widths=(64, 128, 256))


def basic_block(x, width, stride, name):
    shortcut = x
    if stride != 1 or x.shape[-1] != width:
        shortcut = residual_convolution(
            x, width, 1, stride, f"{name}_shortcut_conv"
        )
        shortcut = batch_normalization(f"{name}_shortcut_norm")(shortcut)
    x = residual_convolution(x, width, 3, stride, f"{name}_conv_1")
    x = batch_normalization(f"{name}_norm_1")(x)
    x = keras.layers.ReLU(name=f"{name}_relu_1")(x)
    x = residual_convolution(x, width, 3, 1, f"{name}_conv_2")
    x = batch_normalization(f"{name}_norm_2")(x)
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu_2")(x)


def residual_convolution(x, width, size, stride, name):
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


def resnet50(images):
    """`keras.applications.ResNet50` from scratch, on images of any size.

    23,743,590 trainable parameters at 102 classes.
    """
    _, x = normalized_inputs(images)
    return keras.applications.ResNet50(
        weights=None,
        input_tensor=x,
        classes=images.classes,
        classifier_activation=None,
        name="network",
    )


# Channels of the convolutions of each stage; a pooling follows every stage.
VGG_STAGES = (
    (64, 64),
    (128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (512, 512, 512),
)


def vgg16(images, hidden=(4096, 4096)):
    """Thirteen 3x3 convolutions with batch normalization, three dense layers.

    Neither source paper prints its VGG: the depth and the dense layers are the
    usual ones, and 33,642,442 parameters on CIFAR-10 follow.

    Reference: https://arxiv.org/abs/1409.1556
    """
    inputs, x = normalized_inputs(images)
    index = 0
    for stage, widths in enumerate(VGG_STAGES, 1):
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
    logits = keras.layers.Dense(images.classes, name="logits")(x)
    return keras.Model(inputs, logits, name="network")


# Expansion, channels, blocks and stride of each stage, from the paper's
# Table 2 with strides for 32x32 images: 8 times in all instead of 32 times.
MOBILENET_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(images):
    """Seventeen inverted residual blocks, with strides for 32x32 images.

    `keras.applications.MobileNetV2` reduces its input 32 times, which leaves
    one pixel of a CIFAR image; here the first convolution and the second stage
    keep the size, so that the last blocks see 4x4 pixels. 2,236,682 parameters
    on CIFAR-10.

    Reference: https://arxiv.org/abs/1801.04381
    """
    inputs, x = normalized_inputs(images)
    x = mobile_convolution(x, 32, 3, "stem")
    block = 0
    for expansion, width, blocks, first_stride in MOBILENET_STAGES:
        for position in range(blocks):
            block += 1
            stride = first_stride if position == 0 else 1
            x = inverted_residual(x, expansion, width, stride, f"block_{block}")
    x = mobile_convolution(x, 1280, 1, "head")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(images.classes, name="logits")(x)
    return keras.Model(inputs, logits, name="network")


def inverted_residual(x, expansion, width, stride, name):
    before = x
    if expansion > 1:
        x = mobile_convolution(x, expansion * x.shape[-1], 1, f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise",
    )(x)
    x = batch_normalization(f"{name}_depthwise_norm")(x)
    x = keras.layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = mobile_convolution(x, width, 1, f"{name}_project", activate=False)
    if stride == 1 and before.shape[-1] == width:
        x = keras.layers.Add(name=f"{name}_add")([before, x])
    return x


def mobile_convolution(x, width, size, name, activate=True):
    x = keras.layers.Conv2D(
        width, size, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = batch_normalization(f"{name}_norm")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x
