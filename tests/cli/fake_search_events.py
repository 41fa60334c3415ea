"""The events of a search whose folder is there."""

import dataclasses

from keras_lbreg.search import Search
from keras_lbreg.search.events import (
    SearchEnded,
    SearchStarted,
    TrialEnded,
    TrialProgress,
    TrialStarted,
)


def started(results, before=0, **changes):
    """The beginning of a session that finds `before` trials done."""
    search = Search.from_json({**results.search, **changes})
    earlier = dataclasses.replace(results, trials=results.trials[:before])
    return SearchStarted(search, earlier, results.space, 20)


def trial_events(results, number, until=None):
    """The events of one trial, or those until an epoch of its last run."""
    trial = results.trials[number]
    beginning = dataclasses.replace(
        trial, status="running", score=None, executions=(), reason=None
    )
    yield TrialStarted(beginning)
    last = len(trial.executions) - 1
    for epoch in range(1, (until or 0) + 1):
        yield TrialProgress(trial.id, last, epoch, 20, 0.5 + 0.01 * epoch)
    if until is None:
        yield TrialEnded(trial, best_of(results.trials[: number + 1]), 1.0)


def all_events(results, **changes):
    """The events of the whole search in one session."""
    yield started(results, **changes)
    for number in range(len(results.trials)):
        yield from trial_events(results, number)
    yield SearchEnded(results)


def best_of(trials):
    completed = [trial for trial in trials if trial.status == "completed"]
    return max(completed, key=lambda trial: trial.score, default=None)
