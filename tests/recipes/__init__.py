"""Tests of the recipes."""

import pathlib

import pytest

from keras_lbreg.comparison import Results
from keras_lbreg.training.records import EpochRecord, RunResult

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"

recorded = pytest.mark.skipif(
    not (RECIPES / "hoffer_2017" / "results").is_dir(),
    reason="the records of runs are not in the sdist",
)


def results_of(accuracies, seeds=3):
    """Results with these accuracies by arm, seed and epoch."""

    def record(arm, seed, epoch, value):
        # Updates and samples, seconds, the learning rate.
        numbers = epoch, epoch * 8, 0.0, 0.0, 0.1
        logs = {"val_accuracy": value}
        return EpochRecord(arm, seed, epoch, *numbers, value, logs)

    def run(arm, seed, values):
        records = (record(arm, seed, *pair) for pair in enumerate(values, 1))
        return RunResult(arm, seed, "finished", epochs=tuple(records))

    runs = tuple(
        run(arm, *pair)
        for arm, of_seeds in accuracies.items()
        for pair in enumerate(of_seeds)
    )
    arms = [{"name": a, "title": a, "batch_size": 8} for a in accuracies]
    workload = {"objective": "val_accuracy", "direction": "max"}
    manifest = {"arms": arms, "seeds": [*range(seeds)], "workload": workload}
    return Results("unused", manifest, runs)
