"""A search whose trials take a moment, in processes that take seconds."""

import os
import pathlib

import keras

from keras_lbreg.search import Search
from keras_lbreg.search.check_search import check_search
from tests.experiments.small_problem import save_blobs

# Before the package on the path of child processes: what fails to import.
NO_TENSORFLOW = pathlib.Path(__file__).parent / "no_tensorflow"


def small_search(folder, **settings):
    """Batches of 32 of 77 samples, two epochs, two techniques."""
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    defaults = {
        "batch_sizes": (32,),
        "small_batch_size": 8,
        "epochs": 2,
        "techniques": ("lr_scaling", "ghost_batch_norm"),
        "ranges": {"ghost_batch_norm": {"ghost_batch_size": (8, 16)}},
        "trials": 2,
        "out_dir": str(folder / "search"),
    }
    return Search(save_blobs(folder), **{**defaults, **settings})


def small_manifest(search):
    """Its `search.json`, without another process."""
    return {
        "schema": 1,
        "created": "",
        **check_search(search),
        "search": search.to_json(),
    }


def block_tensorflow(monkeypatch):
    """Let child processes on another backend fail to import TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        path = os.pathsep.join(
            [str(NO_TENSORFLOW), os.environ.get("PYTHONPATH", "")]
        )
        monkeypatch.setenv("PYTHONPATH", path.rstrip(os.pathsep))
