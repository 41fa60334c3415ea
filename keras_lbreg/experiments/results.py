"""Read the results of a comparison back as plain dataclasses."""

import dataclasses
import math
import pathlib

from keras_lbreg.experiments.journal import damaged_line, read_journal
from keras_lbreg.experiments.json_file import read_json
from keras_lbreg.experiments.manifest import read_manifest
from keras_lbreg.experiments.shape import NUMBER, check_shape

_INTEGERS = ("seed", "epoch", "updates", "samples")

_NUMBERS = (
    "wall_time",
    "learning_rate",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "weight_distance",
)


@dataclasses.dataclass(frozen=True)
class EpochRecord:
    """One line of `epochs.jsonl`.

    Args:
        arm: Name of the arm.
        seed: Seed of the run.
        epoch: Passes over the training data so far (1-based).
        updates: Optimizer updates so far.
        samples: Training samples seen so far.
        wall_time: Seconds of training so far, over all resumes, without
            compilation and validation.
        learning_rate: Learning rate of the first update since the last record.
        loss: Training loss since the last record.
        accuracy: Training accuracy since the last record.
        val_loss: Validation loss.
        val_accuracy: Validation accuracy.
        weight_distance: `||w_t - w_0||` over all trainable weights.
        extras: Every other number that was logged.

    Numbers that were not finite read back as `nan`.

    Example:

    >>> record = results.runs[0].epochs[-1]
    >>> record.val_accuracy
    0.9857

    Reference: the layout of a results folder stands in `read_results`.
    """

    arm: str
    seed: int
    epoch: int
    updates: int
    samples: int
    wall_time: float
    learning_rate: float
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    weight_distance: float
    extras: dict = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json(cls, line):
        """The record of one parsed line.

        Raises:
            ValueError: It is an object, but no record.
        """
        check_shape(line, dict.fromkeys(_INTEGERS, int), "record")
        known = {field.name for field in dataclasses.fields(cls)}
        if set(line) - known or "arm" not in line:
            raise ValueError("expected the fields of an epoch's record")
        values = dict(line)
        check_shape(values.setdefault("extras", {}), dict, "record.extras")
        for name in _NUMBERS:
            values[name] = _number(values.get(name))
        values["extras"] = {
            name: _number(value) for name, value in values["extras"].items()
        }
        return cls(**values)

    def to_json(self):
        """A JSON line's content: what is not finite becomes `None`."""
        values = dataclasses.asdict(self)
        for name in _NUMBERS:
            values[name] = _json_number(values[name])
        values["extras"] = {
            name: _json_number(value) for name, value in self.extras.items()
        }
        return values


@dataclasses.dataclass(frozen=True)
class RunResult:
    """One run: one arm with one seed.

    Args:
        arm: Name of the arm.
        seed: Seed of the run.
        status: `"finished"`, `"failed"`, or `"running"` for a run that has
            not ended (it may have been interrupted).
        reason: Why a failed run failed, otherwise `None`.
        epochs: The run's `EpochRecord`s.
        summary: What `summary.json` holds, or an empty dictionary.

    Example:

    >>> [run.final_val_accuracy for run in results.runs_of("small_batch")]

    Reference: the layout of a results folder stands in `read_results`.
    """

    arm: str
    seed: int
    status: str
    reason: str | None
    epochs: tuple
    summary: dict = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json(cls, content):
        """The result of which `content` is the `to_json`."""
        records = map(EpochRecord.from_json, content["epochs"])
        return cls(**{**content, "epochs": tuple(records)})

    def to_json(self):
        """The result as plain data."""
        epochs = [record.to_json() for record in self.epochs]
        return {**vars(self), "epochs": epochs}

    @property
    def final_val_accuracy(self):
        return self.epochs[-1].val_accuracy if self.epochs else math.nan

    @property
    def best_val_accuracy(self):
        return best_accuracy(self.epochs)

    @property
    def updates(self):
        return self.epochs[-1].updates if self.epochs else 0

    @property
    def wall_time(self):
        return self.epochs[-1].wall_time if self.epochs else 0.0


@dataclasses.dataclass(frozen=True)
class Results:
    """Everything one results folder holds.

    Args:
        path: The folder.
        manifest: Content of `manifest.json`.
        runs: `RunResult`s in the order of the manifest's arms, then seeds;
            runs that have not begun are left out.

    Example:

    >>> results = read_results("runs/digits")
    >>> results.arm_names
    ['small_batch', 'large_batch', 'lr']

    Reference: the layout of a results folder stands in `read_results`.
    """

    path: pathlib.Path
    manifest: dict
    runs: tuple

    @property
    def arms(self):
        """The manifest's description of every arm, as dictionaries."""
        return self.manifest["arms"]

    @property
    def arm_names(self):
        return [arm["name"] for arm in self.arms]

    @property
    def complete(self):
        """Whether every run of the manifest has ended."""
        expected = len(self.arms) * len(self.manifest["seeds"])
        ended = [run for run in self.runs if run.status != "running"]
        return len(ended) == expected

    def runs_of(self, arm):
        """The runs of one arm."""
        return [run for run in self.runs if run.arm == arm]


def best_accuracy(records):
    """The highest validation accuracy of some records; `nan` without any."""
    known = [r.val_accuracy for r in records if not math.isnan(r.val_accuracy)]
    return max(known, default=math.nan)


def run_dir(path, arm, seed):
    """Folder of one run inside the results folder `path`."""
    return pathlib.Path(path) / "runs" / arm / f"seed-{seed}"


def tensorboard_dir(path, arm, seed):
    """Folder of one run's TensorBoard logs."""
    return pathlib.Path(path) / "tensorboard" / arm / f"seed-{seed}"


def configuration_path(path, arm):
    """The file with the configuration of an arm that is no standard one."""
    return pathlib.Path(path) / "configurations" / f"{arm}.json"


def read_records(journal):
    """The `EpochRecord`s of the journal of a run.

    Args:
        journal: Path of `epochs.jsonl`.

    Returns:
        A tuple, empty where there is no such file.

    Raises:
        ValueError: A line is damaged, or is not a record.

    Example:

    >>> read_records("runs/digits/runs/lr/seed-0/epochs.jsonl")[-1].epoch
    20

    Reference: `read_journal`.
    """
    records = []
    for number, line in enumerate(read_journal(journal), 1):
        try:
            records.append(EpochRecord.from_json(line))
        except ValueError as error:
            raise damaged_line(journal, number, str(error)) from error
    return tuple(records)


def read_run(path, arm, seed):
    """The run of `arm` with `seed`, or `None` where it has not begun."""
    folder = run_dir(path, arm, seed)
    journal = folder / "epochs.jsonl"
    summary_file = folder / "summary.json"
    if not journal.is_file() and not summary_file.is_file():
        return None
    summary = {}
    if summary_file.is_file():
        summary = read_json(summary_file, {"status": str})
    return RunResult(
        arm,
        seed,
        summary.get("status", "running"),
        summary.get("reason"),
        read_records(journal),
        summary,
    )


def read_results(path):
    """Read a results folder, finished or not.

    The folder holds

    ```
    manifest.json                        what was run, where, with what
    runs/<arm>/seed-<k>/epochs.jsonl     one line per recorded epoch
    runs/<arm>/seed-<k>/summary.json     written when the run ends
    runs/<arm>/seed-<k>/model.keras      the trained model, of `run` alone
    tensorboard/<arm>/seed-<k>/          TensorBoard logs
    configurations/<arm>.json            of an extra arm, for `--config`
    ```

    Args:
        path: The folder, such as `runs/digits`.

    Returns:
        A `Results`.

    Raises:
        ValueError: The folder holds no results, or a file in it is damaged
            beyond a half-written last line.

    Example:

    >>> results = read_results("runs/digits")
    >>> results.runs[0].status
    'finished'

    Reference: `keras_lbreg.experiments.compare` writes the folder.
    """
    manifest = read_manifest(path)
    runs = []
    for arm in manifest["arms"]:
        for seed in manifest["seeds"]:
            run = read_run(path, arm["name"], seed)
            if run is not None:
                runs.append(run)
    return Results(pathlib.Path(path), manifest, tuple(runs))


def _number(value):
    if value is None:
        return math.nan
    check_shape(value, NUMBER, "number")
    return float(value)


def _json_number(value):
    return float(value) if value is not None and math.isfinite(value) else None
