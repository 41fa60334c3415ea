"""Results folders with known numbers, as `lbreg compare` would write them."""

import dataclasses
import json
import math

import numpy as np

from keras_lbreg.experiments.json_file import write_json
from keras_lbreg.experiments.results import EpochRecord, run_dir

SAMPLES = 600


@dataclasses.dataclass(frozen=True)
class FakeArm:
    """An arm whose validation accuracy rises to `final` over its epochs."""

    name: str
    title: str
    batch_size: int
    learning_rate: float
    epochs: int
    final: tuple
    techniques: tuple = ()
    changes: tuple = ()
    group: str = "cumulative"

    @property
    def updates_per_epoch(self):
        return -(-SAMPLES // self.batch_size)

    def description(self):
        return {
            "name": self.name,
            "title": self.title,
            "group": self.group,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "milestones": [[self.epochs // 2, self.learning_rate / 10]],
            "epochs": self.epochs,
            "updates": self.epochs * self.updates_per_epoch,
            "record_every": 1,
            "techniques": {name: {} for name in self.techniques},
            "changes": list(self.changes),
        }

    def records(self, seed):
        # The weights hardly move once the learning rate has fallen.
        last_step = max(1, self.epochs // 2) * self.updates_per_epoch
        for epoch in range(1, self.epochs + 1):
            updates = epoch * self.updates_per_epoch
            part = 1 - math.exp(-4 * epoch / self.epochs)
            accuracy = self.final[seed] * part / (1 - math.exp(-4))
            yield EpochRecord(
                arm=self.name,
                seed=seed,
                epoch=epoch,
                updates=updates,
                samples=epoch * SAMPLES,
                wall_time=0.002 * updates + 0.01 * epoch,
                learning_rate=self.learning_rate,
                loss=1 - 0.9 * part,
                accuracy=part,
                val_loss=1 - 0.8 * part,
                val_accuracy=accuracy,
                weight_distance=2 + 1.5 * math.log(min(updates, last_step)),
            )


SMALL = FakeArm(
    "small_batch",
    "Small batch",
    20,
    0.1,
    20,
    (0.96, 0.97, 0.98),
    group="reference",
)
LARGE = FakeArm(
    "large_batch",
    "Large batch",
    300,
    0.1,
    20,
    (0.90, 0.91, 0.92),
    changes=("batch size 20 -> 300 (x15)",),
    group="reference",
)
SCALED = FakeArm(
    "lr",
    "LR",
    300,
    0.387,
    20,
    (0.93, 0.94, 0.95),
    ("lr_scaling",),
    ("learning rate 0.1 -> 0.3873 (sqrt rule, x3.87)",),
)
LONGER = FakeArm(
    "lr_gbn_ra",
    "LR + GBN + RA",
    300,
    0.387,
    300,
    (0.965, 0.975, 0.98),
    ("lr_scaling", "ghost_batch_norm", "regime_adaptation"),
    ("epochs 20 -> 300 (regime adaptation, x15)",),
)
ARMS = (SMALL, LARGE, SCALED, LONGER)


def write_results(folder, arms=ARMS, seeds=3, failed=(), unfinished=()):
    """Write a results folder; `failed` and `unfinished` are (arm, seed)."""
    write_json(folder / "manifest.json", fake_manifest(arms, seeds))
    for arm in arms:
        for seed in range(seeds):
            write_run(folder, arm, seed, failed, unfinished)
    return folder


def write_run(folder, arm, seed, failed, unfinished):
    records = list(arm.records(seed))
    if (arm.name, seed) in (*failed, *unfinished):
        records = records[: len(records) // 2]
    run = run_dir(folder, arm.name, seed)
    run.mkdir(parents=True)
    lines = [json.dumps(record.to_json()) + "\n" for record in records]
    (run / "epochs.jsonl").write_text("".join(lines))
    if (arm.name, seed) in unfinished:
        return
    status = "finished"
    reason = None
    if (arm.name, seed) in failed:
        status, reason = "failed", "the loss is nan at epoch 11"
    write_json(run / "summary.json", {"status": status, "reason": reason})


def fake_manifest(arms, seeds):
    return {
        "schema": 1,
        "name": "digits",
        "created": "2026-01-02T03:04:05+00:00",
        "versions": {"python": "3.11.9", "keras": "3.15.1"},
        "backend": "tensorflow",
        "device": "A <fast> processor",
        "cpu_count": 2,
        "platform": "Linux",
        "git_commit": None,
        "dataset": {
            "name": "digits",
            "title": "digits",
            "notes": "Handwritten digits of scikit-learn.",
            "classes": 10,
            "input_shape": [8, 8, 1],
            "train_samples": SAMPLES,
            "val_samples": 400,
            "checksum": 1,
        },
        "config": {
            "dataset": "digits",
            "small_batch_size": SMALL.batch_size,
            "batch_size": LARGE.batch_size,
            "epochs": SMALL.epochs,
            "momentum": 0.9,
            "clip": None,
            "hyperparameters": {"dreg": {"weight": 0.05}},
        },
        "arms": [arm.description() for arm in arms],
        "seeds": list(range(seeds)),
    }


def final_percent(arm, seeds=3):
    return 100 * np.array(arm.final[:seeds])
