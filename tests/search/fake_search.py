"""Search folders with known numbers, as `lbreg tune` would write them."""

import functools
import json
import math

import keras
import keras_tuner
import numpy as np

from keras_lbreg.experiments.json_file import write_json
from keras_lbreg.search.search import Search

FAILURES = (
    "the loss became nan in epoch 3",
    "the process was killed by signal 9 (SIGKILL)",
    "the loss became nan in epoch 3",
)


def fake_values(rng):
    """Hyperparameters of one trial, as the register's space proposes them."""
    values = {
        "batch_size": 512,
        "learning_rate_factor": log_uniform(rng, 0.25, 4.0),
        "lr_scaling": bool(rng.integers(2)),
        "ghost_batch_norm": bool(rng.integers(2)),
        "dreg": bool(rng.integers(2)),
        "gradient_noise": bool(rng.integers(2)),
        "gradient_mix": bool(rng.integers(2)),
    }
    if values["lr_scaling"]:
        values["lr_scaling.rule"] = str(rng.choice(["sqrt", "linear"]))
        values["lr_scaling.warmup_epochs"] = int(rng.integers(6))
    if values["ghost_batch_norm"]:
        size = int(rng.choice([16, 32, 64, 128, 256]))
        values["ghost_batch_norm.ghost_batch_size"] = size
    if values["dreg"]:
        values["dreg.weight"] = log_uniform(rng, 1e-3, 1.0)
        values["dreg.distance"] = str(rng.choice(["bounded", "frobenius"]))
        values["dreg.path_reduction"] = str(rng.choice(["sum", "mean"]))
        values["dreg.layer"] = str(rng.choice(["dense", "dense_1", "dense_2"]))
    if values["gradient_noise"]:
        values["gradient_noise.alpha"] = log_uniform(rng, 1e-7, 1e-1)
        values["gradient_noise.gamma"] = float(rng.uniform(0.3, 0.8))
    if values["gradient_mix"]:
        values["gradient_mix.groups"] = int(rng.choice([4, 8, 16, 32]))
        values["gradient_mix.concentration"] = log_uniform(rng, 0.1, 10.0)
    else:
        values["group_noise"] = bool(rng.integers(2))
        if values["group_noise"]:
            values["group_noise.groups"] = int(rng.choice([4, 8, 16, 32]))
            values["group_noise.stddev"] = log_uniform(rng, 0.1, 4.0)
    return values


def log_uniform(rng, low, high):
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def fake_accuracy(values):
    """The accuracy that a trial's seeds scatter around."""
    rate = values["learning_rate_factor"]
    rate *= {"sqrt": 5.7, "linear": 32}.get(values.get("lr_scaling.rule"), 1)
    if values.get("dreg.path_reduction") == "sum":
        rate *= 2
    accuracy = 0.965 - 0.03 * abs(math.log(rate / 20)) ** 1.5
    if values["ghost_batch_norm"]:
        size = values["ghost_batch_norm.ghost_batch_size"]
        accuracy += 0.01 - 0.004 * abs(math.log(size / 32))
    accuracy -= values.get("gradient_noise.alpha", 0) * 1.5
    accuracy -= 0.02 * values.get("group_noise.stddev", 0)
    return max(accuracy, 0.1)


@functools.lru_cache
def fake_space():
    """The space's hyperparameters, as `search.json` holds them."""
    images = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(images)
    for units in (16, 16, 10):
        x = keras.layers.BatchNormalization()(keras.layers.Dense(units)(x))
    hp = keras_tuner.HyperParameters()
    Search("digits").space((512,), 16).declare(hp, keras.Model(images, x))
    return hp.get_config()["space"]


def write_search(
    folder,
    trials=40,
    executions=2,
    failed=(3, 11, 25),
    short=(),
    running=(),
    noise=0.004,
    seed=0,
    values=(),
    epochs=20,
    **settings,
):
    """Write the folder of a search.

    Args:
        folder: The folder.
        trials: Number of trials.
        executions: Runs of each trial.
        failed: Numbers of trials that fail.
        short: Numbers of trials that end after 2 of 20 epochs.
        running: Numbers of trials that were interrupted.
        noise: Standard deviation between seeds.
        seed: Seed of the numbers.
        values: Hyperparameters of the first trials; others have random ones.
        epochs: Epochs of a trial.
        **settings: Further ones of the `Search`.
    """
    search = Search(
        "digits",
        trials=trials,
        executions=executions,
        epochs=epochs,
        out_dir=str(folder),
        **settings,
    )
    write_json(folder / "search.json", fake_manifest(search))
    rng = np.random.default_rng(seed)
    events = [
        {
            "event": "session",
            "time": "2026-01-02T03:04:05+00:00",
            "pid": 1,
            "elapsed": 0.0,
            "versions": {},
        }
    ]
    clock = 0.0
    for number in range(trials):
        own = fake_values(rng)
        if number < len(values):
            own = dict(values[number])
        if number in short:
            own["tuner/epochs"] = 2
        trial = {"trial": f"{number:03d}"}
        add = functools.partial(add_event, events, trial)
        add("trial_created", clock, values=own)
        add("trial_started", clock, worker="here:0")
        for execution in range(executions):
            accuracy = fake_accuracy(own) + rng.normal(0, noise)
            if number in failed:
                break
            clock += float(rng.uniform(4, 15))
            add(
                "execution_ended",
                clock,
                execution=execution,
                seed=execution,
                val_accuracy=min(accuracy, 1.0) * (0.9 ** (number in short)),
                epochs=own.get("tuner/epochs", epochs),
                seconds=3.0,
            )
        if number in running:
            continue
        scores = [
            event["val_accuracy"]
            for event in events[-executions:]
            if event["event"] == "execution_ended"
        ]
        add(
            "trial_ended",
            clock,
            status="FAILED" if number in failed else "COMPLETED",
            score=None if number in failed else float(np.mean(scores)),
            reason=FAILURES[number % 3] if number in failed else None,
            peak_memory=10**8,
        )
    events.append({"event": "search_ended", "why": "trials", "elapsed": clock})
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (folder / "ledger.jsonl").write_text(lines)
    return folder


def add_event(events, trial, kind, clock, **fields):
    events.append({"event": kind, **trial, **fields, "elapsed": clock})


def fake_manifest(search):
    return {
        "schema": 1,
        "created": "2026-01-02T03:04:05+00:00",
        "versions": {"keras": "3.15.1"},
        "backend": search.backend,
        "device": "A <fast> processor",
        "cpu_count": 2,
        "platform": "Linux",
        "git_commit": None,
        "dataset": {
            "name": "digits",
            "title": "digits",
            "notes": "Handwritten digits of scikit-learn.",
            "classes": 10,
            "train_samples": 1024,
            "val_samples": 400,
        },
        "search": search.to_json(),
        "resolved": {
            "batch_sizes": [512],
            "base_batch_size": 16,
            "epochs": search.epochs,
            "replicas": 1,
            "samples": 922,
            "dreg_layer": "dense_2",
        },
        "space": fake_space(),
    }
