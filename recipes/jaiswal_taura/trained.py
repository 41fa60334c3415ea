"""Trained models for the measurements."""

import dataclasses
import pathlib

import keras

from keras_lbreg.experiments import run
from keras_lbreg.experiments.load_data import load_data

# Beside `lbreg`'s own folders: models are large, and no results.
RUNS = pathlib.Path("runs") / "jaiswal_taura"

# Training images that are measured on, of larger sets the first of a fixed
# permutation.
MEASURED = 2048


def trained(comparison, arm, seed, data_dir=None, epochs=None):
    """Train a model as a comparison does, or go on with it, and load it.

    Args:
        comparison: The `Comparison`.
        arm: Name of the arm.
        seed: The seed.
        data_dir: Folder of the prepared datasets.
        epochs: Epochs after which to stop, or None for all of them. The
            learning rate is that of the whole run.

    Returns:
        The pair `(model, updates)`.

    Raises:
        ValueError: The run failed.

    Example:

    >>> model, updates = trained(comparison, "lr", seed=0)

    Reference: `keras_lbreg.experiments.run`.
    """
    stop = "" if epochs is None else f"-{epochs}-epochs"
    folder = RUNS / f"{comparison.name}{stop}"
    experiment = dataclasses.replace(
        comparison.experiment(folder, arms=(arm,), data_dir=data_dir),
        until=None if epochs is None else epochs / comparison.recipe.epochs,
    )
    file = folder / f"{arm}-seed-{seed}.keras"
    result = run(experiment, arm, seed, model_path=file)
    if result.status != "finished":
        raise ValueError(
            f"The run of {arm} with seed {seed} in {folder} failed: "
            f"{result.reason}"
        )
    return keras.models.load_model(file), result.updates


def training_data(comparison, data_dir=None, samples=MEASURED):
    """Images and labels to measure on, as the network sees them unaugmented.

    Args:
        comparison: The `Comparison`.
        data_dir: Folder of the prepared datasets.
        samples: How many training samples at most.

    Returns:
        The pairs `(x, y)` of training and of validation data.

    Example:

    >>> (x, y), (x_val, y_val) = training_data(comparison)
    """
    import numpy as np

    dataset = load_data(
        comparison.experiment(RUNS / comparison.name, data_dir=data_dir)
    )
    count = len(dataset.x_train)
    chosen = np.random.default_rng(0).permutation(count)[:samples]
    x = dataset.x_train[chosen]
    if dataset.augmentation is not None:
        x = dataset.augmentation.of_validation(x)
    return (x, dataset.y_train[chosen]), (dataset.x_val, dataset.y_val)
