"""A comparison that takes seconds, for tests of the engine."""

import numpy as np

from keras_lbreg.data.dataset import Dataset
from keras_lbreg.data.sources.npz import save_npz
from keras_lbreg.experiments import Experiment


def blobs(samples=96, seed=0):
    """Three noisy classes in eight dimensions."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(3, 8)) * 2
    y = rng.integers(0, 3, samples).astype("int32")
    x = (centers[y] + rng.normal(size=(samples, 8))).astype("float32")
    return x, y


def save_blobs(folder):
    """The path of an `.npz` file with 96 training samples."""
    dataset = Dataset("blobs", *blobs(96), *blobs(40, seed=1), classes=3)
    path = folder / "blobs.npz"
    save_npz(dataset, path)
    return str(path)


def experiment(folder, **kwargs):
    """Batches of 8 against batches of 32, four epochs."""
    settings = {
        "dataset": save_blobs(folder),
        "arms": ("small_batch", "large_batch"),
        "seeds": 1,
        "small_batch_size": 8,
        "batch_size": 32,
        "epochs": 4,
        "hyperparameters": {
            "ghost_batch_norm": {"ghost_batch_size": 8},
            "gradient_noise": {"alpha": 1e-2},
            "gradient_mix": {"groups": 4},
            "group_noise": {"groups": 4},
        },
        "out_dir": str(folder / "run"),
        "tensorboard": False,
    }
    return Experiment(**{**settings, **kwargs})


def numbers(results):
    """Everything the same seed has to reproduce, bit for bit."""
    rows = []
    for run in results.runs:
        for record in run.epochs:
            row = record.to_json()
            del row["wall_time"]
            rows.append(row)
    return rows
