"""What a run writes down, and how it is read back."""

import dataclasses
import hashlib
import json
import math
import pathlib

from keras_lbreg.files import read_json, write_json

JOURNAL = "epochs.jsonl"
SUMMARY = "summary.json"
BACKUP = "backup.npz"


@dataclasses.dataclass(frozen=True)
class EpochRecord:
    """One line of `epochs.jsonl`.

    Args:
        arm: Name of the arm.
        seed: Seed of the run.
        epoch: Passes over the training data so far, from 1.
        updates: Optimizer updates so far.
        samples: Training samples seen so far.
        time: Seconds of training so far, without compilation and validation.
        elapsed: All seconds so far, those too.
        learning_rate: Learning rate of the epoch's first update.
        objective: What the arm is judged by: the validation metric of the
            plain network with re-estimated normalization statistics.
        logs: Every other number of the epoch by name.
    """

    arm: str
    seed: int
    epoch: int
    updates: int
    samples: int
    time: float
    elapsed: float
    learning_rate: float
    objective: float
    logs: dict = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json(cls, line):
        """The record of a parsed line; `ValueError` if it is none."""
        fields = {field.name: field.type for field in dataclasses.fields(cls)}
        if not isinstance(line, dict) or set(line) != set(fields):
            raise ValueError("expected the fields of an epoch's record")
        if not isinstance(line["logs"], dict):
            raise ValueError("expected numbers by name in `logs`")
        values = dict(line)
        for name in ("seed", "epoch", "updates", "samples"):
            if type(values[name]) is not int or values[name] < 0:
                raise ValueError(f"expected a count in `{name}`")
        for name in ("time", "elapsed", "learning_rate", "objective"):
            values[name] = to_number(values[name])
        values["logs"] = {k: to_number(v) for k, v in line["logs"].items()}
        return cls(**values)

    def to_json(self):
        """The content of a line; a number that is not finite is `None`."""
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
        }
        for name in ("time", "elapsed", "learning_rate", "objective"):
            values[name] = finite_or_none(values[name])
        values["logs"] = {k: finite_or_none(v) for k, v in self.logs.items()}
        return values


def to_number(value):
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected a number, received {value!r}")
    return float(value)


def finite_or_none(value):
    return float(value) if math.isfinite(value) else None


@dataclasses.dataclass(frozen=True)
class RunResult:
    """One run: one arm with one seed.

    Args:
        arm: Name of the arm.
        seed: Seed of the run.
        status: `"finished"`, `"failed"` (by itself), `"running"` (not ended,
            it may have been interrupted) or `"damaged"` (its records are not
            those that it wrote).
        reason: Why it failed or what is damaged, else `None`.
        epochs: The `EpochRecord`s; none of a damaged run.
        summary: The content of `summary.json`, or an empty dictionary.
        maximize: Whether a larger objective is better.
    """

    arm: str
    seed: int
    status: str
    reason: str | None = None
    epochs: tuple = ()
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

    def to_json(self):
        """The result as plain data."""
        return {**vars(self), "epochs": [r.to_json() for r in self.epochs]}

    @classmethod
    def from_json(cls, content):
        """The result of which `content` is the `to_json`."""
        epochs = tuple(map(EpochRecord.from_json, content["epochs"]))
        return cls(**{**content, "epochs": epochs})


def run_folder(path, arm, seed):
    """The folder of one run inside the results folder `path`."""
    return pathlib.Path(path) / "runs" / arm / f"seed-{seed}"


def read_run(path, arm, seed, maximize=True):
    """The `RunResult` of a run, or `None` where it has not begun."""
    folder = run_folder(path, arm, seed)
    journal, summary = folder / JOURNAL, folder / SUMMARY
    if not journal.is_file() and not summary.is_file():
        return None
    result = RunResult(arm, seed, "running", maximize=maximize)
    try:
        content = read_summary(summary) if summary.is_file() else {}
        written = journal.read_bytes() if journal.is_file() else b""
        if content and digest(written) != content["digest"]:
            raise ValueError(
                f"{journal} is not what the run wrote: it was changed or cut"
            )
        records = parse(journal, written)
        check_belongs(journal, records, arm, seed)
    except ValueError as error:
        return dataclasses.replace(result, status="damaged", reason=str(error))
    return dataclasses.replace(
        result,
        status=content.get("status", "running"),
        reason=content.get("reason"),
        epochs=records,
        summary=content,
    )


def read_summary(path):
    content = read_json(path)
    known = content.get("status") in ("finished", "failed")
    if not known or not isinstance(content.get("digest"), str):
        raise ValueError(f"{path} is not what the run wrote")
    return content


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


def check_belongs(path, records, arm, seed):
    epochs = [record.epoch for record in records]
    right = all(r.arm == arm and r.seed == seed for r in records)
    if not right or epochs != sorted(set(epochs)):
        raise ValueError(f"{path} holds lines of another run, or twice")


def write_summary(folder, status, reason=None, retry=False, maximize=True):
    """Writes `summary.json`, which marks a run as ended."""
    journal = folder / JOURNAL
    written = journal.read_bytes() if journal.is_file() else b""
    records = parse(journal, written)
    result = RunResult("", 0, status, epochs=records, maximize=maximize)
    write_json(
        folder / SUMMARY,
        {
            "status": status,
            "reason": reason,
            "retry": retry,
            "epochs": records[-1].epoch if records else 0,
            "updates": result.updates,
            "final": finite_or_none(result.final),
            "best": finite_or_none(result.best),
            "time": result.time,
            "elapsed": result.elapsed,
            "digest": digest(written),
        },
    )


def digest(written):
    return hashlib.sha256(written).hexdigest()
