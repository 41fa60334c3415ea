"""Results with known numbers, as `compare` would return them."""

import math
import pathlib

from keras_lbreg.comparison.results import Results
from keras_lbreg.training.records import EpochRecord, RunResult

SAMPLES = 600
TITLES = {
    "small_batch": "Small batch",
    "large_batch": "Large batch",
    "lr": "LR",
    "lr_warmup": "LR + warm-up",
    "lr_gbn": "LR + GBN",
    "lr_gbn_ra": "LR + GBN + RA",
    "lr_noise": "LR + noise",
    "lr_dreg": "LR + DReg",
    "lr_mix": "LR + mix",
    "all": "All but RA",
    "lr_doubled": "LR x2 (control)",
}
GROUPS = {
    "small_batch": "reference",
    "large_batch": "reference",
    "lr_doubled": "control",
    "lr": "cumulative",
    "lr_gbn": "cumulative",
    "lr_gbn_ra": "cumulative",
    "all": "all",
}
CONTROLS = {
    "small_batch": None,
    "large_batch": None,
    "lr": "large_batch",
}
TECHNIQUES = {
    "gbn": "ghost_batch_norm",
    "ra": "regime_adaptation",
    "lr": "lr_scaling",
}


def arm_of(name, epochs=20):
    """An arm as the manifest describes it."""
    small = name == "small_batch"
    batch_size, rate = (20, 0.1) if small else (300, 0.1)
    changes = [] if small else ["batch size 20 -> 300 (x15)"]
    techniques = {TECHNIQUES[p]: {} for p in name.split("_") if p in TECHNIQUES}
    if techniques:
        rate = 0.387
        changes.append("learning rate 0.1 -> 0.387 (sqrt rule)")
    return {
        "name": name,
        "title": TITLES.get(name, name),
        "group": GROUPS.get(name, "alone"),
        "control": CONTROLS.get(name, "lr"),
        "batch_size": batch_size,
        "learning_rate": rate,
        "milestones": [[epochs // 2, rate / 10]],
        "decay": None,
        "epochs": epochs,
        "updates": epochs * math.ceil(SAMPLES / batch_size),
        "techniques": techniques,
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
