"""What a search has found out so far, as plain dataclasses."""

import dataclasses
import math
import pathlib


@dataclasses.dataclass(frozen=True)
class Execution:
    """One run of a trial.

    Args:
        seed: Seed of the run.
        val_accuracy: Accuracy of the plain network after the last epoch, on
            the data that the search set apart.
        epochs: Epochs trained, those of an adopted run included.
        seconds: Seconds of training.

    Example:

    >>> results.best.executions[0].val_accuracy
    0.973

    Reference: `Trial`.
    """

    seed: int
    val_accuracy: float
    epochs: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Trial:
    """One configuration that was tried, or is being tried.

    Args:
        id: Its number as text, such as `"007"`.
        values: Value of every hyperparameter, by name.
        configuration: What the values stand for, a
            `keras_lbreg.tuning.Configuration`.
        status: `"running"` (it may have been interrupted), `"completed"` or
            `"failed"`.
        reason: Why a failed one failed, otherwise `None`.
        score: Mean validation accuracy of the executions, or `None`.
        executions: An `Execution` for each run that has ended.
        created: Seconds of searching when it was created.
        started: Seconds of searching when it was first started, or `None`.
        ended: Seconds of searching when it ended, or `None`.
        worker: What ran it last, `"host:slot"`, or `None`.
        until: Share of the epochs after which it stops, or `None`: 1 but for
            the tuner `"hyperband"`.
        peak_memory: Bytes of memory that the searching process (not the
            trial's own) had taken at most when it ended, or `None`.

    Example:

    >>> [trial.id for trial in results.trials if trial.status == "failed"]
    ['003']

    Reference: `SearchResults`.
    """

    id: str
    values: dict
    configuration: object
    status: str = "running"
    reason: str | None = None
    score: float | None = None
    executions: tuple = ()
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    worker: str | None = None
    until: float = 1.0
    peak_memory: int | None = None

    @property
    def std(self):
        """Standard deviation between seeds; `nan` where there is one."""
        values = [run.val_accuracy for run in self.executions]
        if len(values) < 2:
            return math.nan
        mean = sum(values) / len(values)
        squares = sum((value - mean) ** 2 for value in values)
        return math.sqrt(squares / (len(values) - 1))

    @property
    def seconds(self):
        """Seconds of training."""
        return sum(run.seconds for run in self.executions)


@dataclasses.dataclass(frozen=True)
class SearchResults:
    """Everything that the folder of a search says about its trials.

    Args:
        path: The folder.
        manifest: Content of `search.json`: what was searched, where, with
            what.
        trials: `Trial`s in the order of their creation.
        elapsed: Seconds of searching, over all sessions.
        ended_why: `"trials"`, `"budget"` or `"exhausted"` (nothing is left to
            try); `None` where the search goes on or was interrupted.
        sessions: How often it was started.

    Example:

    >>> results = read_search("runs/tune-digits")
    >>> results.best.score
    0.975

    Reference: `read_search`.
    """

    path: pathlib.Path
    manifest: dict
    trials: tuple
    elapsed: float = 0.0
    ended_why: str | None = None
    sessions: int = 1

    @property
    def search(self):
        """The `Search` as plain data."""
        return self.manifest["search"]

    @property
    def space(self):
        """Every hyperparameter, as `keras_tuner` writes its `get_config`."""
        return self.manifest["space"]

    @property
    def best(self):
        """The best `Trial`, or `None`.

        That with the highest score among those that trained longest: after a
        tenth of the epochs, and before the learning rate drops, a score says
        little about the end.
        """
        return best_trial(self.trials)

    def of_status(self, status):
        """The trials that are `"running"`, `"completed"` or `"failed"`."""
        return [trial for trial in self.trials if trial.status == status]


def best_trial(trials):
    """The best of some `Trial`s, see `SearchResults.best`, or `None`."""
    completed = [trial for trial in trials if trial.status == "completed"]
    longest = max((trial.until for trial in completed), default=None)
    finalists = [trial for trial in completed if trial.until == longest]
    return max(finalists, key=lambda trial: trial.score, default=None)
