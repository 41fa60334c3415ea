"""The papers' networks that the package does not have.

A network is a function of the images' shape, dtype, number of classes and
moments (mean and variance of the pixels by channel). It returns an uncompiled
`keras.Model` whose first layer normalises the pixels and whose last one gives
logits.
"""

import functools

import keras

from keras_lbreg.workloads.networks import batch_normalization


def normalized_inputs(input_shape, dtype, moments):
    """An input and that input with mean 0 and variance 1 in each channel."""
    mean, variance = moments
    inputs = keras.Input(input_shape, dtype=dtype, name="images")
    normalize = keras.layers.Normalization(
        mean=mean, variance=variance, name="normalize"
    )
    return inputs, normalize(inputs)


def convolution(
    x, width, size, name, strides=1, relu=True, max_value=None, **settings
):
    """Convolution without biases, batch normalization, ReLU.

    `name` has a place for what a layer is, such as `"{}_1"`.
    """
    x = keras.layers.Conv2D(
        width,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        name=name.format("conv"),
        **settings,
    )(x)
    x = batch_normalization(name.format("norm"))(x)
    if relu:
        x = keras.layers.ReLU(max_value, name=name.format("relu"))(x)
    return x


def pooled_logits(x, classes):
    """Global average pooling and the last layer."""
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.layers.Dense(classes, name="logits")(x)


def residual_convolution(*arguments, **settings):
    """A `convolution` with the kernels of residual networks."""
    initializer = keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal"
    )
    return convolution(*arguments, kernel_initializer=initializer, **settings)


def residual_network(input_shape, dtype, classes, moments, blocks, widths):
    """A residual network of post-activation basic blocks.

    A 3x3 convolution, then one stage of `blocks` blocks for each of `widths`,

    ```
    y = relu(norm(conv3x3(relu(norm(conv3x3(x))))) + shortcut(x))
    ```

    The first block of every stage but the first halves height and width. A
    shortcut is the identity, or a 1x1 convolution with batch normalization
    where the shape changes.

    Reference: https://arxiv.org/abs/1512.03385, and for the variant
    https://arxiv.org/abs/1705.08741
    """
    inputs, x = normalized_inputs(input_shape, dtype, moments)
    x = residual_convolution(x, widths[0], 3, "stem_{}")
    for stage, width in enumerate(widths, 1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = basic_block(x, width, stride, f"stage_{stage}_block_{block}")
    return keras.Model(inputs, pooled_logits(x, classes), name="network")


def basic_block(x, width, stride, name):
    shortcut = x
    if stride != 1 or x.shape[-1] != width:
        shortcut = residual_convolution(
            x, width, 1, f"{name}_shortcut_{{}}", strides=stride, relu=False
        )
    x = residual_convolution(x, width, 3, f"{name}_{{}}_1", strides=stride)
    x = residual_convolution(x, width, 3, f"{name}_{{}}_2", relu=False)
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu_2")(x)


# He et al.'s ResNet of 44 layers for CIFAR: 661,338 parameters; and the
# smallest of them, ours, for 16x16.
resnet44 = functools.partial(residual_network, blocks=7, widths=(16, 32, 64))
resnet8 = functools.partial(residual_network, blocks=1, widths=(16, 32, 64))
# With a 3x3 stem, as usual for CIFAR: 11,173,962 parameters.
resnet18 = functools.partial(
    residual_network, blocks=2, widths=(64, 128, 256, 512)
)
# Hoffer et al.'s WResnet16-4: 2,800,804 parameters at 100 classes.
wide_resnet16_4 = functools.partial(
    residual_network, blocks=2, widths=(64, 128, 256)
)


def resnet50(input_shape, dtype, classes, moments):
    """`keras.applications.ResNet50` from scratch, on images of any size.

    23,743,590 trainable parameters at 102 classes.
    """
    _, x = normalized_inputs(input_shape, dtype, moments)
    return keras.applications.ResNet50(
        weights=None,
        input_tensor=x,
        classes=classes,
        classifier_activation=None,
        name="network",
    )


# Channels of the convolutions of each stage; a pooling follows every stage.
VGG_STAGES = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)


def vgg16(input_shape, dtype, classes, moments):
    """Thirteen 3x3 convolutions with batch normalization, three dense layers.

    Neither source paper prints its VGG: the depth and the dense layers are the
    usual ones, and 33,642,442 parameters on CIFAR-10 follow.

    Reference: https://arxiv.org/abs/1409.1556
    """
    he_normal = {"kernel_initializer": "he_normal"}
    inputs, x = normalized_inputs(input_shape, dtype, moments)
    index = 0
    for stage, widths in enumerate(VGG_STAGES, 1):
        for width in widths:
            index += 1
            x = convolution(x, width, 3, f"{{}}_{index}", **he_normal)
        x = keras.layers.MaxPooling2D(2, name=f"pool_{stage}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for index in (1, 2):
        x = keras.layers.Dense(
            4096, activation="relu", name=f"dense_{index}", **he_normal
        )(x)
        x = keras.layers.Dropout(0.5, name=f"dropout_{index}")(x)
    logits = keras.layers.Dense(classes, name="logits")(x)
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
relu6_convolution = functools.partial(convolution, max_value=6.0)


def mobilenet_v2(input_shape, dtype, classes, moments):
    """Seventeen inverted residual blocks, with strides for 32x32 images.

    `keras.applications.MobileNetV2` reduces its input 32 times, which leaves
    one pixel of a CIFAR image; here the first convolution and the second stage
    keep the size, so that the last blocks see 4x4 pixels. 2,236,682 parameters
    on CIFAR-10.

    Reference: https://arxiv.org/abs/1801.04381
    """
    inputs, x = normalized_inputs(input_shape, dtype, moments)
    x = relu6_convolution(x, 32, 3, "stem_{}")
    block = 0
    for expansion, width, blocks, first_stride in MOBILENET_STAGES:
        for position in range(blocks):
            block += 1
            stride = first_stride if position == 0 else 1
            x = inverted_residual(x, expansion, width, stride, f"block_{block}")
    x = relu6_convolution(x, 1280, 1, "head_{}")
    return keras.Model(inputs, pooled_logits(x, classes), name="network")


def inverted_residual(x, expansion, width, stride, name):
    before = x
    if expansion > 1:
        wide = expansion * x.shape[-1]
        x = relu6_convolution(x, wide, 1, f"{name}_expand_{{}}")
    x = keras.layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise",
    )(x)
    x = batch_normalization(f"{name}_depthwise_norm")(x)
    x = keras.layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = convolution(x, width, 1, f"{name}_project_{{}}", relu=False)
    if stride == 1 and before.shape[-1] == width:
        x = keras.layers.Add(name=f"{name}_add")([x, before])
    return x
