"""Results with known numbers, as `compare` would return them."""

import math
import pathlib

from keras_lbreg.comparison import Results, standard_arms
from keras_lbreg.training import Arm
from keras_lbreg.training.records import EpochRecord, RunResult

SAMPLES = 600
ARMS = {arm.name: arm for arm in standard_arms()}
TITLES = {name: arm.title for name, arm in ARMS.items()}


def arm_of(name, epochs=20):
    """An arm as the manifest describes it."""
    arm = ARMS.get(name) or Arm(name, control="lr")
    batch_size = 20 if arm.batch_size == "small" else 300
    changes, rate = [], 0.1
    if batch_size == 300:
        changes.append("batch size 20 -> 300 (x15)")
    if arm.techniques:
        rate = 0.387
        changes.append("learning rate 0.1 -> 0.387 (sqrt rule)")
    return {
        "name": name,
        "title": arm.title,
        "group": arm.group,
        "control": arm.control,
        "batch_size": batch_size,
        "learning_rate": rate,
        "milestones": [[epochs // 2, rate / 10]],
        "decay": None,
        "epochs": epochs,
        "updates": epochs * math.ceil(SAMPLES / batch_size),
        "techniques": arm.techniques,
        "changes": changes,
    }


def run_of(arm, seed, course, status, objective, moving):
    """A run whose objective takes the values of `course`."""
    steps = math.ceil(SAMPLES / arm["batch_size"])
    last = max(1, arm["epochs"] // 2) * steps
    records = []
    for epoch, value in enumerate(course, 1):
        part = 1 - math.exp(-4 * epoch / len(course))
        rate = arm["learning_rate"] / (10 if epoch * 2 > len(course) else 1)
        logs = {
            "loss": 2.3 * (1 - 0.95 * part),
            "val_loss": 2.3 * (1 - 0.85 * part),
            "weight_distance": 2 + 1.5 * math.log(min(epoch * steps, last)),
        }
        if moving is not None:
            logs[f"moving_{objective}"] = value + moving
        records.append(
            EpochRecord(
                arm=arm["name"],
                seed=seed,
                epoch=epoch,
                updates=epoch * steps,
                samples=epoch * SAMPLES,
                time=0.002 * epoch * steps + 0.01 * epoch,
                elapsed=5 + 0.002 * epoch * steps + 0.05 * epoch,
                learning_rate=rate,
                objective=value,
                logs=logs,
            )
        )
    return RunResult(
        arm["name"],
        seed,
        status,
        "the loss is nan" if status in ("failed", "damaged") else None,
        () if status == "damaged" else tuple(records),
        maximize=is_share(objective),
    )


def is_share(objective):
    return objective.endswith("accuracy")


def results_of(
    finals,
    path=".",
    objective="val_accuracy",
    epochs=1,
    statuses=(),
    moving=None,
):
    """A `Results` of the arms' final objectives, one by seed each.

    Args:
        finals: Lists of final objectives by the arm's name.
        path: The folder.
        objective: The objective; smaller is better where it is a loss.
        epochs: Epochs of a run; the objective moves to its final value.
        statuses: Statuses other than finished, by pairs of arm and seed.
        moving: By arm, what the moving statistics change of the objective.
    """
    statuses, moving = dict(statuses), dict(moving or {})
    seeds = range(max(map(len, finals.values())))
    arms, runs = [], []
    for name, values in finals.items():
        arm = arm_of(name, 15 * epochs if name.endswith("_ra") else epochs)
        arms.append(arm)
        for seed, value in enumerate(values):
            status = statuses.get((name, seed), "finished")
            course = course_to(value, arm["epochs"], is_share(objective))
            if status == "running":
                course = course[: len(course) // 2]
            change = moving.get(name)
            runs.append(run_of(arm, seed, course, status, objective, change))
    manifest = manifest_of(arms, seeds, objective, epochs)
    return Results(pathlib.Path(path), manifest, tuple(runs))


def course_to(value, epochs, rising):
    """An objective that approaches its final value."""
    left = [math.exp(-4 * e / epochs) for e in range(1, epochs + 1)]
    if rising:
        return [value * (1 - part) / (1 - left[-1]) for part in left]
    return [value * (1 + 3 * part) / (1 + 3 * left[-1]) for part in left]


def manifest_of(arms, seeds, objective, epochs):
    return {
        "schema": 2,
        "command": "compare",
        "name": "digits",
        "created": "2026-01-02T03:04:05+00:00",
        "versions": {"python": "3.11.9", "keras": "3.15.1"},
        "backend": "tensorflow",
        "device": "A <fast> processor",
        "cpu_count": 2,
        "platform": "Linux",
        "git_commit": None,
        "workload": {
            "name": "digits",
            "title": "digits",
            "notes": "Handwritten digits of scikit-learn.",
            "source": "digits",
            "train_samples": SAMPLES,
            "val_samples": 400,
            "parameters": 1234,
            "objective": objective,
            "is_share": is_share(objective),
            "direction": "max" if is_share(objective) else "min",
            "optimizer": "SGD",
            "loss": "sparse_categorical_crossentropy",
        },
        "config": {
            "small_batch_size": 20,
            "batch_size": 300,
            "epochs": epochs,
            "hyperparameters": {},
            "strategy": "one",
            "devices": None,
            "holdout": 0.0,
        },
        "arms": arms,
        "seeds": list(seeds),
    }
