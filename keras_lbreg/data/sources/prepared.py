"""Where prepared datasets lie."""

import os
import pathlib
import re

# Datasets of ours that split the images of another one anew.
SPLIT_ANEW = {"caltech101_3to1": "caltech101"}


def source_name(name):
    """The dataset of TensorFlow Datasets that `name` is made from."""
    return SPLIT_ANEW.get(name, name)


def data_folder(data_dir=None):
    """The folder of prepared datasets.

    Args:
        data_dir: The folder, or `None` for the environment variable
            `LBREG_DATA_DIR`, or else TensorFlow Datasets' own default.
    """
    folder = data_dir or os.environ.get("LBREG_DATA_DIR")
    folder = folder or os.environ.get("TFDS_DATA_DIR")
    return pathlib.Path(folder or "~/tensorflow_datasets").expanduser()


def find_prepared(name, data_dir=None):
    """Folder of the newest prepared version of `name`, or `None`."""
    folder = data_folder(data_dir) / source_name(name)
    infos = [
        *folder.glob("*/dataset_info.json"),
        *folder.glob("*/*/dataset_info.json"),
    ]
    versions = [
        info.parent
        for info in infos
        if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name)
    ]
    return max(
        versions,
        key=lambda p: tuple(map(int, p.name.split("."))),
        default=None,
    )


def prepared_names(data_dir=None):
    """Names of all datasets prepared in the folder, sorted."""
    folder = data_folder(data_dir)
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and find_prepared(entry.name, data_dir)
    )


def not_prepared(name, data_dir):
    """The message about a dataset that is not there."""
    folder = data_folder(data_dir)
    prepared = prepared_names(data_dir)
    source = source_name(name)
    made_from = "" if source == name else f", which is made from {source!r},"
    return (
        f"The dataset {name!r}{made_from} is not prepared in {folder}. Prepare "
        f"it with `lbreg data prepare {source}` (add `--data-dir` for another "
        f"folder). Prepared there: {prepared or 'nothing'}"
    )
