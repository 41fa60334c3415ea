"""Which datasets TensorFlow Datasets has prepared, by their folders alone."""

import json
import os
import pathlib
import re

from keras_lbreg.checks import did_you_mean

# What `lbreg data list` names even where it is not prepared.
KNOWN = {
    "digits": "handwritten digits, 8x8, comes with scikit-learn",
    "mnist": "handwritten digits, 28x28",
    "cifar10": "photographs in 10 classes, 32x32",
    "cifar100": "photographs in 100 classes, 32x32",
    "caltech101": "photographs in 102 classes, of varying size",
    "caltech101_3to1": "the same images, three of four of each class train",
    "imagenet2012": "1.28 million photographs in 1,000 classes",
}

# Datasets of ours that split the images of another one anew.
SPLIT_ANEW = {"caltech101_3to1": "caltech101"}


def source_name(name):
    """The dataset of TensorFlow Datasets that `name` is made from."""
    return SPLIT_ANEW.get(name, name)


def data_folder(data_dir=None):
    """`data_dir`, else `LBREG_DATA_DIR`, else TensorFlow Datasets' own."""
    folder = data_dir or os.environ.get("LBREG_DATA_DIR")
    folder = folder or os.environ.get("TFDS_DATA_DIR")
    return pathlib.Path(folder or "~/tensorflow_datasets").expanduser()


def find_prepared(name, data_dir=None):
    """Folder of the newest prepared version of `name`, or `None`."""
    folder = data_folder(data_dir) / source_name(name)
    versions = [
        info.parent
        for depth in ("*", "*/*")
        for info in folder.glob(f"{depth}/dataset_info.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name)
    ]
    return max(
        versions,
        key=lambda p: tuple(map(int, p.name.split("."))),
        default=None,
    )


def prepared_datasets(data_dir=None):
    """The prepared datasets of a folder.

    Args:
        data_dir: The folder; see `data_folder`.

    Returns:
        A list of `(name, version, samples)` by name; `samples` of all splits
        together, or `None` where `dataset_info.json` cannot be read.
    """
    folder = data_folder(data_dir)
    if not folder.is_dir():
        return []
    found = []
    for entry in sorted(folder.iterdir()):
        version = entry.is_dir() and find_prepared(entry.name, data_dir)
        if version:
            found.append((entry.name, version.name, count_samples(version)))
    return found


def count_samples(version):
    try:
        info = json.loads((version / "dataset_info.json").read_text())
        return sum(
            int(length)
            for split in info["splits"]
            for length in split["shardLengths"]
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def not_prepared(name, data_dir):
    """The message about a dataset that is not there."""
    prepared = [name for name, *_ in prepared_datasets(data_dir)]
    source = source_name(name)
    made_from = "" if source == name else f", which is made from {source!r},"
    hint = did_you_mean(name, {*KNOWN, *prepared})
    hint = "" if name in KNOWN else hint
    return (
        f"The dataset {name!r}{made_from} is not prepared in "
        f"{data_folder(data_dir)}.{hint} Prepare it with `lbreg data prepare "
        f"{source}`. Prepared there: {prepared or 'nothing'}"
    )
