"""Read the manifest of a results folder."""

import pathlib
from types import NoneType

from keras_lbreg.experiments.json_file import read_record
from keras_lbreg.experiments.shape import NUMBER

SCHEMA = 1

ARM = {
    "name": str,
    "title": str,
    "group": str,
    "batch_size": int,
    "learning_rate": NUMBER,
    "milestones": [[NUMBER]],
    "epochs": int,
    "updates": int,
    "techniques": dict,
    "changes": [str],
}

# What manifests mean that are older than a setting.
EARLIER = {
    "strategy": "one",
    "devices": 1,
    "holdout": 0.0,
    "until": None,
    "recipe": None,
    "optimizer": "sgd",
    "weight_decay": 0.0,
    "reset_momentum": False,
    "augmentation": None,
    "pixel_moments": None,
    "norm": [0.9, 1e-5],
}

SHAPE = {
    "name": str,
    "created": str,
    "versions": dict,
    "backend": str,
    "device": str,
    "cpu_count": (int, NoneType),
    "platform": str,
    "git_commit": (str, NoneType),
    "dataset": {
        "title": str,
        "notes": str,
        "classes": int,
        "train_samples": int,
        "val_samples": int,
    },
    "config": {
        "dataset": str,
        "small_batch_size": int,
        "batch_size": int,
        "epochs": int,
        "hyperparameters": dict,
    },
    "arms": [ARM],
    "seeds": [int],
}


def read_manifest(path):
    """The manifest of the results folder `path`.

    Args:
        path: The folder, such as `runs/digits`.

    Returns:
        The content of its `manifest.json`, a dictionary.

    Raises:
        ValueError: The folder holds no results, or none that can be read.

    Example:

    >>> read_manifest("runs/digits")["seeds"]
    [0, 1, 2]

    Reference: `keras_lbreg.experiments.read_results` describes the folder.
    """
    file = pathlib.Path(path) / "manifest.json"
    manifest = read_record(file, SHAPE, SCHEMA, "lbreg compare")
    manifest["config"] = {**EARLIER, **manifest["config"]}
    return manifest
