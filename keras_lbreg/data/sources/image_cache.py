"""Resized images of datasets too large for memory, in files of arrays."""

import contextlib
import os
import pathlib
import shutil
import sys

import numpy as np

from keras_lbreg.data.sources.array_file import ArrayFile
from keras_lbreg.data.sources.npz import read_arrays

KINDS = ("images", "labels", "sides")


def cache_folder(name, version, image_size):
    """Where the resized images of a dataset are kept.

    Beside the folder of the prepared version, or in the folder that the
    environment variable `LBREG_CACHE_DIR` names.

    Args:
        name: Name of the dataset.
        version: Folder of the prepared version.
        image_size: Height and width, or `None` for images as they are.

    Example:

    >>> cache_folder("imagenet2012", version, (256, 256)).name
    'lbreg-imagenet2012-5.1.0-256x256'

    Reference: `write_cache`.
    """
    parent = os.environ.get("LBREG_CACHE_DIR")
    parent = pathlib.Path(parent).expanduser() if parent else version.parent
    size = "x".join(map(str, image_size)) if image_size else "as_stored"
    name = name.replace("/", "_").replace(":", "_")
    return parent / f"lbreg-{name}-{version.name}-{size}"


def open_cache(folder):
    """What `write_cache` wrote, its images left on disk.

    Args:
        folder: The folder.

    Returns:
        The pair `(arrays, about)`: by part, the images (a `numpy.memmap`),
        labels and shorter sides; and the dictionary given to `write_cache`.
        `None` where there is no such folder.

    Raises:
        ValueError: The folder's content is damaged.

    Example:

    >>> arrays, about = open_cache(folder)
    >>> images, labels, sides = arrays["train"]

    Reference: `numpy.load` with `mmap_mode="r"`.
    """
    if not folder.is_dir():
        return None
    try:
        about = read_arrays(folder / "about.npz")
        arrays = {
            str(part): [
                np.load(
                    folder / f"{part}_{kind}.npy",
                    mmap_mode="r" if kind == "images" else None,
                    allow_pickle=False,
                )
                for kind in KINDS
            ]
            for part in about.pop("parts")
        }
        if any(len({len(a) for a in part}) > 1 for part in arrays.values()):
            raise ValueError("its arrays differ in length")
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(
            f"Cannot read the resized images in {folder}: {error}. Expected "
            "the files as they were written. Delete the folder: it is written "
            "again from the prepared dataset."
        ) from error
    return arrays, {key: value.item() for key, value in about.items()}


def write_cache(folder, parts, about):
    """Write arrays to a folder that appears once it is complete.

    A write that was cut short is gone on with by the next call. Of several
    processes one writes, and the others wait for it.

    Args:
        folder: The folder.
        parts: By part, a dictionary with the `shape` and `dtype` of its
            images and `read`, a function of the number of samples to pass
            over, which yields batches of images, labels and shorter sides.
        about: Dictionary of strings and numbers to keep beside them.

    Raises:
        ValueError: There is no place for them.

    Example:

    >>> write_cache(folder, {"train": {...}, "val": {...}}, {"classes": 1000})

    Reference: `keras_lbreg.data.sources.image_cache.open_cache`.
    """
    partial = folder.with_name(folder.name + ".partial")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(folder.name + ".lock")):
            if folder.is_dir():
                return
            partial.mkdir(exist_ok=True)
            check_room(folder, partial, parts)
            for name, part in parts.items():
                write_part(partial, name, part)
            np.savez(partial / "about.npz", parts=list(parts), **about)
            os.replace(partial, folder)
    except PermissionError as error:
        raise ValueError(
            f"Cannot write the resized images to {folder}: {error.strerror}. "
            "Expected a folder that can be written to. Name one in the "
            "environment variable LBREG_CACHE_DIR."
        ) from error


def write_part(folder, name, part):
    from tqdm import tqdm

    total = part["shape"][0]
    shapes = (part["shape"], (total,), (total,))
    dtypes = (part["dtype"], "int32", "int32")
    with contextlib.ExitStack() as stack:
        files = [
            stack.enter_context(
                ArrayFile(folder / f"{name}_{kind}.npy", shape, dtype)
            )
            for kind, shape, dtype in zip(KINDS, shapes, dtypes, strict=True)
        ]
        done = min(file.rows for file in files)
        for file in files:
            file.keep(done)
        # None: no bar where nobody looks, as in a log file.
        bar = stack.enter_context(
            tqdm(
                total=total,
                initial=done,
                desc=f"{name} images",
                unit="image",
                disable=None,
            )
        )
        if done < total:
            for batch in part["read"](done):
                for file, values in zip(files, batch, strict=True):
                    file.append(values)
                bar.update(len(batch[0]))
        for file in files:
            file.sync()


def size_of(part):
    """Bytes of the images of a part."""
    return int(np.prod(part["shape"])) * np.dtype(part["dtype"]).itemsize


def check_room(folder, partial, parts):
    """Say what is about to be written where, or raise if it does not fit."""
    there = sum(file.stat().st_size for file in partial.iterdir())
    needed = sum(map(size_of, parts.values())) - there
    free = shutil.disk_usage(partial).free
    if needed > free:
        raise ValueError(
            f"The resized images do not fit in {folder.parent}. Expected "
            f"{needed / 1e9:,.1f} GB of free space, or a smaller image size. "
            f"Received: {free / 1e9:,.1f} GB. Name another folder in the "
            "environment variable LBREG_CACHE_DIR."
        )
    print(
        f"Too large for memory: writing {max(needed, 0) / 1e9:,.1f} GB of "
        f"resized images, once, to {folder}",
        file=sys.stderr,
    )


@contextlib.contextmanager
def locked(path):
    """Wait for the other processes that write the same folder."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
