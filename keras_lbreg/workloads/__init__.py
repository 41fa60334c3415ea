"""What is trained: the user's models and data, and those that come along."""

from keras_lbreg.workloads.built_in import (
    caltech101,
    caltech101_3to1,
    cifar10,
    digits,
    image_set,
    mnist,
    npz,
)
from keras_lbreg.workloads.get_workload import get_workload, names
from keras_lbreg.workloads.workload import Workload

__all__ = [
    "Workload",
    "caltech101",
    "caltech101_3to1",
    "cifar10",
    "digits",
    "get_workload",
    "image_set",
    "mnist",
    "names",
    "npz",
]
