"""The papers' networks have the papers' sizes."""

import functools
import types

import keras
import numpy as np
import pytest

from keras_lbreg.experiments.networks.alexnet import alexnet
from keras_lbreg.experiments.networks.c1 import c1
from keras_lbreg.experiments.networks.fully_connected import fully_connected
from keras_lbreg.experiments.networks.mobilenet_v2 import mobilenet_v2
from keras_lbreg.experiments.networks.residual import (
    resnet18,
    resnet44,
    wide_resnet16_4,
)
from keras_lbreg.experiments.networks.resnet50 import resnet50
from keras_lbreg.experiments.networks.vgg16 import vgg16
from keras_lbreg.models.apply_dreg import dreg_candidates

CIFAR = (32, 32, 3)


def images(classes, shape):
    """All that a network asks of a dataset."""
    return types.SimpleNamespace(
        classes=classes,
        input_shape=shape,
        x_train=np.zeros((1, *shape), "uint8"),
        moments=lambda: (np.zeros(shape[-1]), np.ones(shape[-1])),
    )


@functools.cache
def build(network, classes=10, shape=CIFAR):
    return network(images(classes, shape))


def f1(dataset):
    return fully_connected(dataset, (512,) * 5)


# Published: the first six. torchvision's and the paper's Table 2: ResNet18 and
# MobileNetV2. The rest is counted by hand from the layers.
SIZES = [
    (f1, 10, (28, 28, 1), 1_462_794),
    (c1, 10, CIFAR, 1_388_490),
    (c1, 100, CIFAR, 1_405_860),
    (resnet44, 10, CIFAR, 661_338),
    (wide_resnet16_4, 100, CIFAR, 2_800_804),
    (resnet18, 10, CIFAR, 11_173_962),
    (mobilenet_v2, 10, CIFAR, 2_236_682),
    (vgg16, 10, CIFAR, 33_642_442),
    (alexnet, 1000, (224, 224, 3), 61_110_184),
    (resnet50, 102, (224, 224, 3), 23_743_590),
]


@pytest.mark.parametrize(("network", "classes", "shape", "size"), SIZES)
def test_number_of_trainable_parameters(network, classes, shape, size):
    model = build(network, classes, shape)
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == size
    assert model.output_shape == (None, classes)


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        (resnet18, "stage_4_block_2_conv_2"),
        (resnet44, "stage_3_block_7_conv_2"),
        (vgg16, "conv_13"),
        (mobilenet_v2, "block_17_depthwise"),
    ],
)
def test_the_last_3x3_convolution_is_what_dreg_takes(network, layer):
    model = build(network)
    spatial = [
        path
        for path, x in dreg_candidates(model).items()
        if getattr(x, "kernel_size", (1, 1)) == (3, 3)
    ]
    assert spatial[-1] == layer


def test_batch_normalization_is_that_of_the_papers():
    for network in (resnet44, vgg16, mobilenet_v2):
        model = build(network)
        norms = [
            x
            for x in model.layers
            if isinstance(x, keras.layers.BatchNormalization)
        ]
        assert {(x.momentum, x.epsilon) for x in norms} == {(0.9, 1e-5)}


def test_the_blocks_halve_the_image_where_the_paper_does():
    model = build(resnet44)
    sizes = [
        model.get_layer(f"stage_{stage}_block_7_relu_2").output.shape[1:]
        for stage in (1, 2, 3)
    ]
    assert sizes == [(32, 32, 16), (16, 16, 32), (8, 8, 64)]


def test_initial_weights_have_he_s_variance():
    model = build(resnet44)
    kernel = model.get_layer("stage_3_block_7_conv_2").kernel
    variance = np.asarray(kernel).var()
    assert variance == pytest.approx(2 / (9 * 64), rel=0.03)


def test_it_predicts():
    model = build(resnet44)
    x = np.random.default_rng(0).integers(0, 255, (2, *CIFAR))
    assert np.isfinite(model(x.astype("uint8"))).all()
