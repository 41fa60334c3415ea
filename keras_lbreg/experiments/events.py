"""What a run tells while it goes on."""

import dataclasses

from keras_lbreg.experiments.results import EpochRecord, RunResult


@dataclasses.dataclass(frozen=True)
class CompareStarted:
    """A comparison begins; `pending` runs of `total` are left to do.

    Args:
        experiment: The `Experiment`.
        manifest: The manifest, with the description of every arm.
        total: Number of runs.
        pending: Number of runs that are not finished.
        pending_samples: Training samples left to process, by arm name; the
            measure by which the time left can be estimated.

    Example:

    >>> compare(experiment, on_event=print)

    Reference: `keras_lbreg.experiments.compare`.
    """

    experiment: object
    manifest: dict
    total: int
    pending: int
    pending_samples: dict


@dataclasses.dataclass(frozen=True)
class StrategyChosen:
    """It is known which devices share the batches; the first event of all.

    It does not come where `strategy` is `"one"`, the default.

    Args:
        placement: The `Placement`.
        layouts: The `BatchLayout` of every arm, by arm name.

    Example:

    >>> compare(experiment, on_event=print)

    Reference: `keras_lbreg.experiments.compare`.
    """

    placement: object
    layouts: dict


@dataclasses.dataclass(frozen=True)
class RunStarted:
    """A run begins, or goes on after `epoch` epochs.

    Args:
        arm: Name of the arm.
        seed: Seed of the run.
        epoch: Epochs already done in an earlier session.
        epochs: Epochs until the run stops.
        changes: What the arm changed, as lines of text.

    Example:

    >>> compare(experiment, on_event=print)

    Reference: `keras_lbreg.experiments.compare`.
    """

    arm: str
    seed: int
    epoch: int
    epochs: int
    changes: tuple = ()


@dataclasses.dataclass(frozen=True)
class EpochEnded:
    """A line was added to the run's `epochs.jsonl`.

    Args:
        record: The `EpochRecord`.
        epochs: Epochs until the run stops.
        updates: Updates until then.
        best_val_accuracy: Best validation accuracy of the run so far.

    Example:

    >>> compare(experiment, on_event=print)

    Reference: `keras_lbreg.experiments.compare`.
    """

    record: EpochRecord
    epochs: int
    updates: int
    best_val_accuracy: float


@dataclasses.dataclass(frozen=True)
class RunEnded:
    """A run finished or failed, now or (`skipped`) in an earlier session.

    Args:
        result: The `RunResult`.
        skipped: Whether nothing was left to do.

    Example:

    >>> compare(experiment, on_event=print)

    Reference: `keras_lbreg.experiments.compare`.
    """

    result: RunResult
    skipped: bool = False
