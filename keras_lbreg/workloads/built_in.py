"""The workloads that come along.

The learning rates and their drops are those of the small batch; nobody tuned
anything for the large one. `mnist` and `cifar10` are Hoffer et al.'s F1 and C1
(https://arxiv.org/abs/1705.08741) with the milestones of their tables as
fractions of a shorter run; 50 and 200 epochs are the paper's lengths.
"""

import functools
import re

import keras

from keras_lbreg.data.load_dataset import load_dataset
from keras_lbreg.schedules.regime import Regime
from keras_lbreg.workloads.networks import (
    c1,
    fully_connected,
    small_convolution,
)
from keras_lbreg.workloads.workload import Workload


def digits(data=None):
    """Two dense layers on scikit-learn's 8x8 digits: minutes on two cores.

    How it was sized: we looked at 512 to 1,024 training images, two or three
    hidden layers of 128 or 256 units, 20 to 40 epochs, large batches of 256
    and 512 and learning rates from 0.01 to 0.05, with Hoffer et al.'s columns
    run beside. The gap grows as the run gets shorter and the network smaller;
    the small batch does equally well at all these learning rates. What was
    taken leaves the large batch 40 updates where the small one has 1,280: too
    few to come near, which is the gap of Hoffer et al. in small. Noise, DReg
    and mixing had not run when this was settled, and keep the values of their
    papers.

    Args:
        data: Optional `keras_lbreg.data.Dataset`. Defaults to
            `load_dataset("digits")`.

    Returns:
        A `keras_lbreg.Workload`.
    """
    return classifier(
        data or load_dataset("digits"),
        functools.partial(fully_connected, widths=(128, 128)),
        {"learning_rate": 0.02, "momentum": 0.9},
        Regime(16, 0.02, epochs=20, milestones={10: 2e-3, 15: 2e-4}),
        name="digits",
        batch_size=512,
        # A ghost is as large as the small batch, as in Hoffer et al.
        techniques={
            "ghost_batch_norm": {"ghost_batch_size": 16},
            "dreg": {"layer": "dense_2"},
        },
    )


def mnist(data_dir=None, data=None):
    """Hoffer et al.'s F1 on MNIST, five dense layers of 512.

    Args:
        data_dir: As in `keras_lbreg.data.load_dataset`.
        data: Optional `keras_lbreg.data.Dataset` to take instead.

    Returns:
        A `keras_lbreg.Workload`.
    """
    return classifier(
        data or load_dataset("mnist", data_dir),
        functools.partial(fully_connected, widths=(512,) * 5),
        {"learning_rate": 0.1, "momentum": 0.9, "global_clipnorm": 5.0},
        Regime(128, 0.1, epochs=10, milestones={2: 0.01, 4: 1e-3, 6: 1e-4}),
        name="mnist",
        batch_size=4096,
        techniques={"dreg": {"layer": "dense_5"}},
    )


def cifar10(data_dir=None, data=None):
    """Hoffer et al.'s C1 on CIFAR-10, without augmentation.

    Args:
        data_dir: As in `keras_lbreg.data.load_dataset`.
        data: Optional `keras_lbreg.data.Dataset` to take instead.

    Returns:
        A `keras_lbreg.Workload`.
    """
    return classifier(
        data or load_dataset("cifar10", data_dir),
        c1,
        {"learning_rate": 1e-3, "global_clipnorm": 5.0},
        Regime(128, 1e-3, epochs=20, milestones={6: 0.01, 12: 1e-3, 18: 1e-4}),
        name="cifar10",
        batch_size=4096,
    )


def caltech101(data_dir=None, data=None):
    """A small convolutional network on Caltech-101, resized to 64x64.

    Args:
        data_dir: As in `keras_lbreg.data.load_dataset`.
        data: Optional `keras_lbreg.data.Dataset` to take instead.

    Returns:
        A `keras_lbreg.Workload`.
    """
    data = data or load_dataset("caltech101", data_dir, (64, 64))
    return small_network(data, data.name, learning_rate=0.01, batch_size=512)


def caltech101_3to1(data_dir=None, data=None):
    """`caltech101` with three of four images of each class to train with.

    Args:
        data_dir: As in `keras_lbreg.data.load_dataset`.
        data: Optional `keras_lbreg.data.Dataset` to take instead.

    Returns:
        A `keras_lbreg.Workload`.
    """
    data = data or load_dataset("caltech101_3to1", data_dir, (64, 64))
    return caltech101(data=data)


def image_set(name, data_dir=None):
    """A small convolutional network on an image set of TensorFlow Datasets.

    Args:
        name: Name of a dataset that `lbreg data prepare` has prepared. Images
            that differ in size are resized to 64x64.
        data_dir: As in `keras_lbreg.data.load_dataset`.

    Returns:
        A `keras_lbreg.Workload`.
    """
    data = load_dataset(name, data_dir, (64, 64))
    return small_network(data, name.replace("/", "-"))


def npz(path):
    """The arrays of an `.npz` file.

    A file of `lbreg data export` has its dataset's workload. Any other one has
    a small convolutional network where the inputs are images, and a dense one
    where they are not.

    Args:
        path: A file with the arrays `x_train`, `y_train`, `x_val` and `y_val`,
            the labels integers from 0.

    Returns:
        A `keras_lbreg.Workload`.
    """
    data = load_dataset(str(path))
    if data.name in OF_DATASETS:
        return OF_DATASETS[data.name](data=data)
    # Not more samples in a batch than there are.
    largest = 2 ** (len(data.x_train).bit_length() - 1)
    return small_network(
        data,
        data.name.removesuffix(".npz"),
        small_batch_size=min(32, largest),
        batch_size=min(1024, largest),
    )


def small_network(
    data, name, learning_rate=0.02, small_batch_size=32, batch_size=1024
):
    """The workload of a dataset that no paper gives us a network for."""
    are_images = len(data.input_shape) == 3
    dense = functools.partial(fully_connected, widths=(128, 128))
    return classifier(
        data,
        small_convolution if are_images else dense,
        {"learning_rate": learning_rate, "momentum": 0.9},
        Regime(
            small_batch_size,
            learning_rate,
            epochs=20,
            milestones={10: 0.1 * learning_rate, 15: 0.01 * learning_rate},
        ),
        name=re.sub(r"[^\w.+-]", "_", name),
        batch_size=batch_size,
        techniques={"ghost_batch_norm": {"ghost_batch_size": small_batch_size}},
    )


def classifier(data, network, optimizer, regime, **arguments):
    """The workload of a `Dataset`, a network and SGD with these arguments."""
    moments, dtype = data.moments(), data.x_train.dtype
    dtype = keras.config.floatx() if dtype.kind == "f" else str(dtype)

    def build_model():
        model = network(data.input_shape, dtype, data.classes, moments)
        model.compile(
            keras.optimizers.SGD(**optimizer),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    return Workload(
        build_model,
        train_data=(data.x_train, data.y_train),
        validation_data=(data.x_val, data.y_val),
        regime=regime,
        title=data.title,
        notes=data.notes,
        **arguments,
    )


OF_DATASETS = {
    "digits": digits,
    "mnist": mnist,
    "cifar10": cifar10,
    "caltech101": caltech101,
    "caltech101_3to1": caltech101_3to1,
}
