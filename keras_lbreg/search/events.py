"""What a search tells while it goes on."""

import dataclasses

from keras_lbreg.search.search_results import SearchResults, Trial


@dataclasses.dataclass(frozen=True)
class SearchStarted:
    """Everything has been checked and the first trial is about to start.

    Args:
        search: The `Search`.
        results: The `SearchResults` so far: nothing, or what earlier sessions
            left.
        space: Every hyperparameter, as `keras_tuner` writes its `get_config`.
        epochs: Epochs of a run that is not stopped early.

    Example:

    >>> run_search(search, on_event=print)

    Reference: `keras_lbreg.search.run_search`.
    """

    search: object
    results: SearchResults
    space: list
    epochs: int


@dataclasses.dataclass(frozen=True)
class TrialStarted:
    """A trial begins, or goes on after an interruption.

    Args:
        trial: The `Trial`.
        resumed: Whether an earlier session had started it.

    Example:

    >>> run_search(search, on_event=print)

    Reference: `keras_lbreg.search.run_search`.
    """

    trial: Trial
    resumed: bool = False


@dataclasses.dataclass(frozen=True)
class TrialProgress:
    """A running trial has come further.

    Args:
        trial: The `Trial`'s id.
        execution: Number of the run, from 0.
        epoch: Epochs done of this run.
        epochs: Epochs that this run will have at its end.
        val_accuracy: Validation accuracy after them.

    Example:

    >>> run_search(search, on_event=print)

    Reference: `keras_lbreg.search.run_search`.
    """

    trial: str
    execution: int
    epoch: int
    epochs: int
    val_accuracy: float


@dataclasses.dataclass(frozen=True)
class TrialEnded:
    """A trial has completed or failed.

    Args:
        trial: The `Trial`.
        best: The best `Trial` so far, or `None`.
        elapsed: Seconds of searching, over all sessions.

    Example:

    >>> run_search(search, on_event=print)

    Reference: `keras_lbreg.search.run_search`.
    """

    trial: Trial
    best: Trial | None
    elapsed: float


@dataclasses.dataclass(frozen=True)
class SearchEnded:
    """No trial is left to do.

    Args:
        results: The `SearchResults`.

    Example:

    >>> run_search(search, on_event=print)

    Reference: `keras_lbreg.search.run_search`.
    """

    results: SearchResults


@dataclasses.dataclass(frozen=True)
class ConfirmStarted:
    """The winner is about to be trained again, beside others.

    Args:
        path: The results folder of the comparison.
        arms: Names of the arms.
        seeds: The fresh seeds.

    Example:

    >>> confirm(results, on_event=print)

    Reference: `keras_lbreg.search.confirmation.confirm`.
    """

    path: object
    arms: tuple
    seeds: tuple


@dataclasses.dataclass(frozen=True)
class ConfirmProgress:
    """A run of the comparison has come further.

    Args:
        arm: Name of the arm.
        seed: Seed of the run.
        epoch: Epochs done.
        epochs: Epochs of the whole run.
        val_accuracy: Validation accuracy after them.

    Example:

    >>> confirm(results, on_event=print)

    Reference: `keras_lbreg.search.confirmation.confirm`.
    """

    arm: str
    seed: int
    epoch: int
    epochs: int
    val_accuracy: float


@dataclasses.dataclass(frozen=True)
class ConfirmEnded:
    """The comparison has ended.

    Args:
        results: Its `keras_lbreg.experiments.Results`.

    Example:

    >>> confirm(results, on_event=print)

    Reference: `keras_lbreg.search.confirmation.confirm`.
    """

    results: object
