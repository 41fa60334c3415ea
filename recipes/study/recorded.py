"""Results as they were recorded, in the old format or in today's.

Schema 1 was written before `keras_lbreg.compare` judged arms with re-estimated
normalization statistics: its accuracies are those with the moving statistics.
"""

import json
import math
import pathlib

from keras_lbreg.comparison import Results, read_results
from keras_lbreg.files import read_json
from keras_lbreg.training.records import EpochRecord, RunResult, run_folder

NUMBERS = ("loss", "accuracy", "val_loss", "val_accuracy", "weight_distance")


def read_recorded(path):
    """The `Results` of a folder of either schema."""
    path = pathlib.Path(path)
    manifest = read_json(path / "manifest.json")
    if manifest.get("schema") != 1:
        return read_results(path)
    runs = [
        old_run(path, arm["name"], seed)
        for arm in manifest["arms"]
        for seed in manifest["seeds"]
    ]
    return Results(
        path, today(manifest), tuple(run for run in runs if run is not None)
    )


def is_old(path):
    """Whether a folder holds results of schema 1, which nothing is added to."""
    manifest = pathlib.Path(path) / "manifest.json"
    return manifest.is_file() and read_json(manifest).get("schema") == 1


def today(manifest):
    """A manifest of schema 1 with the fields of today's as well."""
    dataset = manifest["dataset"]
    return {
        **manifest,
        "command": "compare",
        "workload": {
            "name": dataset["name"],
            "title": dataset["title"],
            "notes": dataset["notes"],
            "source": manifest["config"].get("recipe"),
            "train_samples": dataset["train_samples"],
            "val_samples": dataset["val_samples"],
            "objective": "val_accuracy",
            "direction": "max",
            "is_share": True,
        },
        "arms": [{"control": None, **arm} for arm in manifest["arms"]],
    }


def old_run(path, arm, seed):
    """A run of schema 1, or `None` where it has not begun."""
    folder = run_folder(path, arm, seed)
    journal, summary = folder / "epochs.jsonl", folder / "summary.json"
    if not journal.is_file() and not summary.is_file():
        return None
    content = read_json(summary) if summary.is_file() else {}
    lines = journal.read_text("utf-8").splitlines() if journal.is_file() else ()
    epochs = tuple(old_record(json.loads(line)) for line in lines)
    if content and content["epochs"] != (epochs[-1].epoch if epochs else 0):
        raise ValueError(
            f"{journal} is not what the run wrote. Expected records up to "
            f"epoch {content['epochs']}"
        )
    return RunResult(
        arm,
        seed,
        content.get("status", "running"),
        content.get("reason"),
        epochs,
        content,
    )


def old_record(line):
    """A line of schema 1 as an `EpochRecord`; what is missing is `nan`."""

    def number(value):
        return math.nan if value is None else float(value)

    logs = {name: number(line.get(name)) for name in NUMBERS}
    extras = line.get("extras", {})
    return EpochRecord(
        line["arm"],
        line["seed"],
        line["epoch"],
        line["updates"],
        line["samples"],
        time=number(line["wall_time"]),
        elapsed=math.nan,
        learning_rate=number(line["learning_rate"]),
        objective=logs["val_accuracy"],
        logs=logs | {name: number(value) for name, value in extras.items()},
    )
