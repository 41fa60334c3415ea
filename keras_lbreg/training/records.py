"""What a run writes down while it trains, and how it is read back."""

import dataclasses
import hashlib
import json
import math
import operator
import pathlib
import time

import keras

from keras_lbreg.files import append_line, read_json, write_json

JOURNAL = "epochs.jsonl"
SUMMARY = "summary.json"
BACKUP = "backup.npz"

COUNTS = ("seed", "epoch", "updates", "samples")
NUMBERS = ("time", "elapsed", "learning_rate", "objective")


@dataclasses.dataclass(frozen=True)
class EpochRecord:
    """One line of `epochs.jsonl`; what it counts, it counts from the start."""

    arm: str
    seed: int
    # Passes over the training data, from 1.
    epoch: int
    updates: int
    samples: int
    # Seconds of training, without compilation and validation, and with them.
    time: float
    elapsed: float
    # Of the epoch's first update.
    learning_rate: float
    # The validation metric of the plain network with re-estimated
    # normalization statistics.
    objective: float
    # Every other number by name.
    logs: dict = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json(cls, line):
        """The record of a parsed line; `ValueError` if it is none."""
        try:
            counts = {name: operator.index(line[name]) for name in COUNTS}
            numbers = {name: to_number(line[name]) for name in NUMBERS}
            logs = {k: to_number(v) for k, v in line["logs"].items()}
            return cls(**{**line, **counts, **numbers, "logs": logs})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError("not the record of an epoch") from error

    def to_json(self):
        """The content of a line; a number that is not finite is `None`."""
        numbers = {name: finite(getattr(self, name)) for name in NUMBERS}
        logs = {name: finite(value) for name, value in self.logs.items()}
        return {**vars(self), **numbers, "logs": logs}


def to_number(value):
    return math.nan if value is None else float(value)


def finite(value):
    return float(value) if math.isfinite(value) else None


@dataclasses.dataclass(frozen=True)
class RunResult:
    """One run: one arm with one seed."""

    arm: str
    seed: int
    # "finished", "failed" (by itself), "running" (not ended, it may have been
    # interrupted) or "damaged" (its records are not those that it wrote).
    status: str
    # Why it failed or what is damaged.
    reason: str | None = None
    # `EpochRecord`s; none of a damaged run.
    epochs: tuple = ()
    # The content of `summary.json`.
    summary: dict = dataclasses.field(default_factory=dict)
    maximize: bool = True

    @property
    def final(self):
        """The objective of the last epoch."""
        return self.epochs[-1].objective if self.epochs else math.nan

    @property
    def best(self):
        """The best objective of all epochs."""
        known = [r.objective for r in self.epochs if r.objective == r.objective]
        return (max if self.maximize else min)(known, default=math.nan)

    @property
    def updates(self):
        return self.epochs[-1].updates if self.epochs else 0

    @property
    def time(self):
        """Seconds of training."""
        return self.epochs[-1].time if self.epochs else 0.0

    @property
    def elapsed(self):
        """All seconds, compilation and validation too."""
        return self.epochs[-1].elapsed if self.epochs else 0.0


def run_folder(path, arm, seed):
    """The folder of one run inside the results folder `path`."""
    return pathlib.Path(path) / "runs" / arm / f"seed-{seed}"


def read_run(path, arm, seed, maximize=True):
    """The `RunResult` of a run, or `None` where it has not begun."""
    folder = run_folder(path, arm, seed)
    journal, summary = folder / JOURNAL, folder / SUMMARY
    if not journal.is_file() and not summary.is_file():
        return None
    ended = summary.is_file()
    try:
        written = journal.read_bytes() if journal.is_file() else b""
        content = read_json(summary) if ended else {"status": "running"}
        status = content.get("status")
        if ended and status not in ("finished", "failed"):
            raise ValueError(f"{summary} is not what the run wrote")
        if ended and content.get("digest") != digest(written):
            raise ValueError(
                f"{journal} is not what the run wrote: it was changed or cut"
            )
        records = parse(journal, written)
        epochs = [record.epoch for record in records]
        others = [r for r in records if (r.arm, r.seed) != (arm, seed)]
        if others or epochs != sorted({*epochs}):
            raise ValueError(f"{journal} holds lines of another run, or twice")
    except ValueError as error:
        return RunResult(arm, seed, "damaged", str(error), maximize=maximize)
    reason = content.get("reason")
    return RunResult(arm, seed, status, reason, records, content, maximize)


def parse(path, written):
    """The records of a journal; what a kill left of a last line is dropped."""
    complete, _, _ = written.rpartition(b"\n")
    records = []
    for number, line in enumerate(complete.splitlines(), 1):
        try:
            records.append(EpochRecord.from_json(json.loads(line)))
        except ValueError as error:
            raise ValueError(
                f"{path}: line {number} is damaged ({error})"
            ) from error
    return tuple(records)


def write_summary(folder, status, reason=None, retry=False):
    """Marks a run as ended; with `retry`, the next command trains it again."""
    journal = folder / JOURNAL
    written = journal.read_bytes() if journal.is_file() else b""
    content = {"status": status, "reason": reason, "retry": retry}
    write_json(folder / SUMMARY, {**content, "digest": digest(written)})


def digest(written):
    return hashlib.sha256(written).hexdigest()


class Stopwatch(keras.callbacks.Callback):
    """Seconds of training, without compilation, validation and recording.

    First among the callbacks: what others do at the end of an epoch does not
    count. `elapsed` counts everything since the clock's time `begun`.
    """

    def __init__(self, records, begun):
        super().__init__()
        self.seconds = records[-1].time if records else 0.0
        self._begun = begun - (records[-1].elapsed if records else 0.0)
        self._started = None

    @property
    def elapsed(self):
        return time.perf_counter() - self._begun

    def on_epoch_begin(self, epoch, logs=None):
        # Where not every epoch is validated, it runs on.
        if self._started is None:
            self._started = time.perf_counter()

    def on_test_begin(self, logs=None):
        if self._started is None:
            # Another callback evaluates.
            return
        # JAX hands out results before they are there: reading one waits.
        keras.ops.convert_to_numpy(self.model.optimizer.iterations)
        self.seconds += time.perf_counter() - self._started
        self._started = None


class Recorder(keras.callbacks.Callback):
    """Writes a record for every epoch of `fit`, `plan.record_every` epochs.

    Of several workers, the chief alone writes. With `moving`, the model is
    validated with its moving statistics, too.
    """

    def __init__(self, run, journal, stopwatch, records, on_epoch, moving):
        super().__init__()
        self.run = run
        self.journal = journal
        self.stopwatch = stopwatch
        self.records = list(records)
        self.on_epoch = on_epoch
        self.moving = moving

    def on_epoch_end(self, epoch, logs=None):
        run, plan = self.run, self.run.plan
        logs = {name: float(value) for name, value in logs.items()}
        if self.moving:
            validation = run.facts.validation
            results = validation.evaluate(self.model, run.placement)
            logs |= {f"moving_{name}": v for name, v in results.items()}
        done = (epoch + 1) * plan.record_every
        updates = done * plan.steps_per_epoch
        record = EpochRecord(
            arm=run.arm.name,
            seed=run.seed,
            epoch=done,
            updates=updates,
            samples=updates * plan.batch_size,
            time=self.stopwatch.seconds,
            elapsed=self.stopwatch.elapsed,
            learning_rate=logs.pop("learning_rate", math.nan),
            objective=logs.get(run.objective, math.nan),
            logs=logs,
        )
        self.records.append(record)
        if self.journal is not None and run.placement.is_chief:
            append_line(self.journal, record.to_json())
        if not math.isfinite(logs.get("loss", 0.0)):
            self.model.stop_training = True
        if self.on_epoch is not None and run.placement.is_chief:
            self.on_epoch(record)
