"""The papers' networks have the sizes that were published."""

import math
import types

import keras
import numpy as np
import pytest

from recipes import networks


def images(shape, classes):
    channels = shape[-1]
    return types.SimpleNamespace(
        input_shape=shape,
        classes=classes,
        moments=lambda: ([0.0] * channels, [1.0] * channels),
        x_train=np.zeros((1, *shape), "uint8"),
    )


CIFAR = (32, 32, 3)


@pytest.mark.parametrize(
    ("network", "shape", "classes", "trainable"),
    [
        (
            lambda d: networks.fully_connected(d, (512,) * 5),
            (28, 28, 1),
            10,
            1_462_794,
        ),
        (networks.c1, CIFAR, 10, 1_388_490),
        (networks.small_convolution, (8, 8, 1), 10, None),
        (networks.resnet44, CIFAR, 10, 661_338),
        (networks.resnet18, CIFAR, 10, 11_173_962),
        (networks.wide_resnet16_4, CIFAR, 100, 2_800_804),
        (networks.vgg16, CIFAR, 10, 33_642_442),
        (networks.mobilenet_v2, CIFAR, 10, None),
        (networks.alexnet, (224, 224, 3), 10, None),
        (networks.resnet50, (92, 92, 3), 102, 23_743_590),
    ],
)
def test_network(network, shape, classes, trainable):
    model = network(images(shape, classes))
    assert model.output_shape == (None, classes)
    assert model.inputs[0].dtype == "uint8"
    count = sum(math.prod(v.shape) for v in model.trainable_variables)
    if trainable is not None:
        assert count == trainable
    if count < 2_000_000:
        x = np.ones((2, *shape), "uint8")
        assert np.isfinite(keras.ops.convert_to_numpy(model(x))).all()
