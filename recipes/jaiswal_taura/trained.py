"""Trained models for the measurements."""

import pathlib
import shutil

import keras
import numpy as np

from keras_lbreg.training.run import Run

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
    """
    workload = comparison.workload(data_dir=data_dir)
    run = Run(workload, comparison.get_arm(arm), seed)
    until = 1.0 if epochs is None else epochs / comparison.recipe.epochs
    updates = run.plan.epoch_at(until) * run.plan.steps_per_epoch
    stop = "" if epochs is None else f"-{epochs}-epochs"
    folder = RUNS / f"{comparison.name}{stop}" / f"{arm}-seed-{seed}"
    file = folder / "model.keras"
    if not file.is_file():
        model = run.build()
        records = run.fit(model, folder, until=until)
        if int(model.optimizer.iterations) != updates:
            # All epochs are recorded, the model was not written.
            shutil.rmtree(folder)
            records = run.fit(model, folder, until=until)
        if not np.isfinite(records[-1].logs["loss"]):
            raise ValueError(
                f"The run of {arm} with seed {seed} in {folder} failed: its "
                f"loss became {records[-1].logs['loss']}"
            )
        run.export(model).save(file)
    return keras.models.load_model(file), updates


def training_data(comparison, data_dir=None, samples=MEASURED):
    """Images and labels to measure on, as the network sees them unaugmented.

    Args:
        comparison: The `Comparison`.
        data_dir: Folder of the prepared datasets.
        samples: How many training samples at most.

    Returns:
        The pairs `(x, y)` of training and of validation data.
    """
    workload = comparison.workload(data_dir=data_dir)
    x, y = workload.train_data
    chosen = np.random.default_rng(0).permutation(len(x))[:samples]
    train = comparison.recipe.seen(x[chosen]), y[chosen]
    return train, workload.validation_data
