"""The networks of the built-in workloads, not compiled."""

import keras


def fully_connected(input_shape, dtype, classes, moments, widths):
    """`len(widths)` times [Dense, batch normalization, ReLU], then logits.

    F1 of Hoffer et al. (https://arxiv.org/abs/1705.08741) on 28x28 images is
    `widths=(512,) * 5`: 1,462,794 trainable parameters. `dtype` is that of the
    inputs as they come, `moments` are their means and variances by channel.
    """
    layers = normalized(input_shape, dtype, moments)
    layers.append(keras.layers.Flatten())
    for index, width in enumerate(widths, 1):
        layers += [
            keras.layers.Dense(width, name=f"dense_{index}"),
            batch_normalization(f"norm_{index}"),
            keras.layers.ReLU(),
        ]
    layers.append(keras.layers.Dense(classes, name="logits"))
    return keras.Sequential(layers, name="network")


def c1(input_shape, dtype, classes, moments):
    """Hoffer et al.'s shallow convolutional network C1.

    [conv 64 5x5, max pool 3/2, batch normalization, ReLU] twice, then dense
    384 and 192, each with batch normalization, ReLU and dropout 0.5. No
    biases but in the last layer. 1,388,490 trainable parameters on CIFAR-10.
    """
    layers = normalized(input_shape, dtype, moments)
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
    layers.append(keras.layers.Dense(classes, name="logits"))
    return keras.Sequential(layers, name="network")


def small_convolution(
    input_shape, dtype, classes, moments, widths=(32, 64, 128)
):
    """3x3 convolutions of growing width, for images of any size; ours."""
    layers = normalized(input_shape, dtype, moments)
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
        keras.layers.Dense(classes, name="logits"),
    ]
    return keras.Sequential(layers, name="network")


def normalized(input_shape, dtype, moments):
    """The input, and a layer that brings it to mean 0 and variance 1."""
    mean, variance = moments
    return [
        keras.Input(input_shape, dtype=dtype),
        keras.layers.Normalization(mean=mean, variance=variance),
    ]


def batch_normalization(name):
    """Batch normalization with the papers' constants, not Keras's."""
    return keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=name
    )
