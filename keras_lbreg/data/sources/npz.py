"""Datasets in one NumPy file."""

import os
import pathlib
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from keras_lbreg.data.dataset import Dataset

ARRAYS = ("x_train", "y_train", "x_val", "y_val")


def load_npz(path):
    """The dataset that `save_npz` wrote, or any file with its four arrays.

    Args:
        path: An `.npz` file with `x_train`, `y_train`, `x_val`, `y_val` and
            optionally `name`, `classes`, `title` and `notes`. Without a
            `name` the dataset is called by the file's name and suffix, so
            that it is never taken for one of those that have a recipe.

    Raises:
        ValueError: There is no such file, or arrays are missing in it.

    Example:

    >>> dataset = load_npz("cifar10.npz")

    Reference: `numpy.savez`.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(
            "Invalid value for argument `dataset`. Expected an .npz file that "
            f"exists. Received: dataset={str(path)!r}"
        )
    try:
        content = read_arrays(path)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"Cannot read {path}: {error}. Expected an .npz file of plain "
            "arrays, as `lbreg data export` writes it."
        ) from error
    missing = [name for name in ARRAYS if name not in content]
    if missing:
        raise ValueError(
            f"Cannot use {path}: the arrays {missing} are missing. Expected "
            f"{list(ARRAYS)}. Received: {sorted(content)}"
        )
    y_train = np.asarray(content["y_train"])
    classes = content.get("classes")
    if classes is None:
        classes = max(
            (
                int(content[y].max()) + 1
                for y in ("y_train", "y_val")
                if content[y].size
            ),
            default=0,
        )
    return Dataset(
        str(content.get("name", path.name)),
        with_channels(content["x_train"]),
        y_train,
        with_channels(content["x_val"]),
        content["y_val"],
        int(classes),
        str(content.get("title", "")),
        str(content.get("notes", f"Read from {path.name}.")),
    )


def save_npz(dataset, path):
    """Write a dataset as one `.npz` file, all at once or not at all.

    Args:
        dataset: A `Dataset`.
        path: The file to write.

    Example:

    >>> save_npz(load_dataset("mnist"), "mnist.npz")

    Reference: `numpy.savez`.
    """
    path = check_npz_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(partial, "wb") as file:
            np.savez_compressed(
                file,
                **{name: getattr(dataset, name) for name in ARRAYS},
                name=dataset.name,
                classes=dataset.classes,
                title=dataset.title,
                notes=dataset.notes,
            )
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_npz_path(path):
    """The path, whose name has to end in `.npz`."""
    path = pathlib.Path(path)
    if path.suffix != ".npz":
        raise ValueError(
            "Invalid value for argument `path`. Expected a file name that "
            f"ends in .npz. Received: path={str(path)!r}"
        )
    return path


def read_arrays(path):
    """All arrays of an `.npz` file, by name.

    Args:
        path: The file.

    Raises:
        ValueError: It is damaged, or no such file.

    Example:

    >>> sorted(read_arrays("cifar10.npz"))[:2]
    ['classes', 'name']

    Reference: `numpy.load`.
    """
    # Opened here: `np.load` leaves a damaged file open.
    with open(path, "rb") as file:
        try:
            content = np.load(file, allow_pickle=False)
            if not isinstance(content, Mapping):
                raise ValueError("it holds a single array")
            return dict(content)
        except (EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(str(error)) from error


def with_channels(images):
    """Grey images `(n, height, width)` get a channel axis."""
    return images[..., np.newaxis] if images.ndim == 3 else images
