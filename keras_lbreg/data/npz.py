"""Datasets in one NumPy file."""

import pathlib
import struct
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from keras_lbreg.checks import invalid
from keras_lbreg.data.dataset import Dataset
from keras_lbreg.files import write_file

ARRAYS = ("x_train", "y_train", "x_val", "y_val")


def load_npz(path):
    """The `Dataset` that `save_npz` wrote, or any file with its four arrays."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise invalid("name", "an .npz file that exists", str(path))
    try:
        content = read_arrays(path)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"Cannot read {path}: {error}. Expected an .npz file of plain "
            "arrays, as `numpy.savez` writes it."
        ) from error
    missing = [name for name in ARRAYS if name not in content]
    if missing:
        raise ValueError(
            f"Cannot use {path}: the arrays {missing} are missing. Expected "
            f"{list(ARRAYS)}. Received: {sorted(content)}"
        )
    try:
        return Dataset(
            str(content.get("name", path.name)),
            with_channels(content["x_train"]),
            content["y_train"],
            with_channels(content["x_val"]),
            content["y_val"],
            count_classes(content),
            str(content.get("title", "")),
            str(content.get("notes", f"Read from {path.name}.")),
        )
    except ValueError as error:
        raise ValueError(f"Cannot use {path}: {error}") from error


def count_classes(content):
    """The number in the file, or one more than the largest label."""
    if "classes" in content:
        classes = content["classes"]
        if classes.ndim or classes.dtype.kind not in "iu":
            raise ValueError(
                "Expected one integer as `classes`. Received: "
                f"classes={classes.tolist()!r}"
            )
        return int(classes)
    labels = [content[name] for name in ("y_train", "y_val")]
    if any(y.dtype.kind not in "iu" or y.size == 0 for y in labels):
        return 0  # `Dataset` says what is wrong with them.
    used = np.unique(np.concatenate([np.unique(y) for y in labels]))
    classes = int(used[-1]) + 1
    if used[0] >= 0 and classes > 2 * len(used) + 1:
        raise ValueError(
            "Expected labels from 0 to the number of classes, without large "
            "gaps; number the classes anew, or write the array `classes` into "
            f"the file. Received: {len(used)} different labels up to "
            f"{classes - 1:,}"
        )
    return classes


def save_npz(dataset, path):
    """Write a `Dataset` as one `.npz` file, all at once or not at all."""
    fields = (*ARRAYS, "name", "classes", "title", "notes")
    content = {field: getattr(dataset, field) for field in fields}
    write_file(
        check_npz_path(path),
        lambda file: np.savez_compressed(file, **content),
    )


def check_npz_path(path):
    """The path, whose name has to end in `.npz`."""
    path = pathlib.Path(path)
    if path.suffix != ".npz":
        raise invalid("path", "a file name that ends in .npz", str(path))
    return path


def read_arrays(path):
    """All arrays of an `.npz` file by name; `ValueError` if it is damaged."""
    # Opened here: `np.load` leaves a damaged file open.
    with open(path, "rb") as file:
        try:
            content = np.load(file, allow_pickle=False)
            if not isinstance(content, Mapping):
                raise ValueError("it holds a single array")
            return dict(content)
        except (
            EOFError,
            NotImplementedError,  # A compression that Python does not know.
            struct.error,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise ValueError(str(error)) from error


def with_channels(images):
    """Grey images `(n, height, width)` get a channel axis."""
    return images[..., np.newaxis] if images.ndim == 3 else images
