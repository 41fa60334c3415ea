"""The samples of a dataset on which a model is analysed."""

import dataclasses
import zlib

import numpy as np

from keras_lbreg.checks import check_positive_int
from keras_lbreg.data.load_dataset import load_dataset
from keras_lbreg.experiments.recipes import recipe_for

SPLITS = ("train", "val")


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """Some or all samples of one part of a dataset.

    Args:
        x: Inputs.
        y: Integer labels.
        classes: Number of classes.
        description: What they are, as plain data for a record.

    Example:

    >>> take_samples(load("digits"), "train", 500).description["samples"]
    500

    Reference: `take_samples`.
    """

    x: np.ndarray
    y: np.ndarray
    classes: int
    description: dict

    @property
    def title(self):
        d = self.description
        part = {"train": "training", "val": "validation"}[d["split"]]
        return f"{d['samples']:,} {part} samples of {d['title']}"


def load(name, data_dir=None):
    """The dataset, with images of the size of its recipe."""
    return load_dataset(name, data_dir, recipe_for(name).image_size)


def take_samples(dataset, split, count=None, seed=0):
    """A random part of a dataset's split, in the order of the dataset.

    Not the first ones: a file may be sorted by class.

    Args:
        dataset: A `Dataset`.
        split: `"train"` or `"val"`.
        count: Number of samples, or `None` for all. More than there are is
            all, too.
        seed: Seed of the choice.

    Returns:
        `Samples`.

    Raises:
        ValueError: There is no such split, or `count` is not above 0.

    Example:

    >>> take_samples(load("digits"), "val", 100)
    """
    if split not in SPLITS:
        raise ValueError(
            "Invalid value for argument `split`. Expected 'train' or 'val'. "
            f"Received: split={split!r}"
        )
    x, y = getattr(dataset, f"x_{split}"), getattr(dataset, f"y_{split}")
    if count is not None:
        check_positive_int("samples", count)
        if count < len(x):
            order = np.random.default_rng(seed).permutation(len(x))
            chosen = np.sort(order[:count])
            x, y = x[chosen], y[chosen]
    checksum = 0
    for array in (x, y):
        checksum = zlib.crc32(np.ascontiguousarray(array), checksum)
    return Samples(
        x,
        y,
        dataset.classes,
        {
            "name": dataset.name,
            "title": dataset.title,
            "split": split,
            "samples": len(x),
            "checksum": checksum,
        },
    )
