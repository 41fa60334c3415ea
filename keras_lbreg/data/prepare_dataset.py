"""Datasets for the command line: list, prepare, export."""

import dataclasses

from keras_lbreg.data.sources.prepared import find_prepared, prepared_names
from keras_lbreg.data.sources.tensorflow_datasets import (
    prepare_tensorflow_dataset,
)

KNOWN = {
    "digits": "handwritten digits, 8x8, comes with scikit-learn",
    "mnist": "handwritten digits, 28x28",
    "cifar10": "photographs in 10 classes, 32x32",
    "cifar100": "photographs in 100 classes, 32x32",
    "caltech101": "photographs in 102 classes, of varying size",
    "caltech101_3to1": "the same images, three of four of each class train",
    "imagenet2012": "1.28 million photographs in 1,000 classes",
}


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """One line of `lbreg data list`.

    Args:
        name: Name of the dataset.
        description: What it is.
        prepared: Whether it can be loaded now.
        path: Where it lies, or `None`.

    Example:

    >>> list_datasets()[0].name
    'digits'

    Reference: `list_datasets`.
    """

    name: str
    description: str
    prepared: bool
    path: str | None


def list_datasets(data_dir=None):
    """The datasets with a recipe, and all others prepared in the folder.

    Args:
        data_dir: Folder of the prepared datasets.

    Returns:
        A list of `DatasetInfo`.

    Example:

    >>> [info.name for info in list_datasets() if info.prepared]
    ['digits']

    Reference: https://www.tensorflow.org/datasets
    """
    others = [n for n in prepared_names(data_dir) if n not in KNOWN]
    infos = []
    for name in [*KNOWN, *others]:
        path = None if name == "digits" else find_prepared(name, data_dir)
        infos.append(
            DatasetInfo(
                name,
                KNOWN.get(name, "prepared by TensorFlow Datasets"),
                name == "digits" or path is not None,
                None if path is None else str(path),
            )
        )
    return infos


def prepare_dataset(name, data_dir=None):
    """Make sure that a dataset can be loaded; downloads it if it must.

    Args:
        name: Name in TensorFlow Datasets, `"caltech101_3to1"` or `"digits"`.
        data_dir: Folder of the prepared datasets.

    Returns:
        The folder it lies in, or `None` for `"digits"`.

    Example:

    >>> prepare_dataset("mnist")

    Reference: https://www.tensorflow.org/datasets
    """
    if name == "digits":
        return None
    path = find_prepared(name, data_dir)
    return path or prepare_tensorflow_dataset(name, data_dir)
