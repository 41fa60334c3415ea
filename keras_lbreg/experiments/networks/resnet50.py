"""ResNet50 out of `keras.applications`."""

import keras

from keras_lbreg.experiments.networks.inputs import normalized_inputs


def resnet50(dataset):
    """`keras.applications.ResNet50` on images of any size, from scratch.

    Args:
        dataset: The `Dataset` to build for, with images of at least 32x32 in
            three channels.

    Returns:
        An uncompiled `keras.Model` whose layers are those of
        `keras.applications`; the last 3x3 convolution is
        `conv5_block3_2_conv`. 23,743,590 trainable parameters at 102
        classes.

    Example:

    >>> model = resnet50(load_dataset("caltech101", image_size=(224, 224)))

    Reference: https://arxiv.org/abs/1512.03385
    """
    _, x = normalized_inputs(dataset)
    return keras.applications.ResNet50(
        weights=None,
        input_tensor=x,
        classes=dataset.classes,
        classifier_activation=None,
        name="network",
    )
