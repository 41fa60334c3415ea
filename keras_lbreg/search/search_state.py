"""The trials of a search, told by the events of its ledger."""

import dataclasses

from keras_lbreg.search.ledger import (
    EXECUTION_ENDED,
    INTERRUPTED,
    SEARCH_ENDED,
    SESSION,
    TRIAL_CREATED,
    TRIAL_ENDED,
    TRIAL_STARTED,
)
from keras_lbreg.search.search import Search
from keras_lbreg.search.search_results import (
    Execution,
    SearchResults,
    Trial,
)

RUN_FIELDS = [field.name for field in dataclasses.fields(Execution)]


class SearchState:
    """What is known after some events.

    Reading a folder and searching add the same events: what a search shows
    while it goes on is what is read afterwards.

    Args:
        manifest: Content of `search.json`.
        events: The first events.

    Example:

    >>> state = SearchState(manifest, ledger.read())
    >>> state.trials["007"].status
    'completed'

    Reference: `keras_lbreg.search.Ledger`.
    """

    def __init__(self, manifest, events=()):
        self.manifest = manifest
        self.space = space_of(manifest)
        self.trials = {}
        self.elapsed = 0.0
        self.why = None
        self.sessions = 0
        for event in events:
            self.add(event)

    def add(self, event):
        """Take in one more event."""
        self.elapsed = event["elapsed"]
        kind = event["event"]
        if kind == SESSION:
            self.sessions, self.why = self.sessions + 1, None
        elif kind == SEARCH_ENDED:
            self.why = event["why"]
        elif kind == TRIAL_CREATED:
            self.trials[event["trial"]] = self._created(event)
        elif kind != INTERRUPTED:
            trial = self.trials[event["trial"]]
            self.trials[trial.id] = after(trial, event)

    def results(self, path):
        """All of it, as the `SearchResults` of the folder `path`."""
        return SearchResults(
            path,
            self.manifest,
            tuple(self.trials.values()),
            self.elapsed,
            self.why,
            self.sessions,
        )

    def _created(self, event):
        values = event["values"]
        # Hyperband counts epochs; the others have a trial train all of them.
        epochs = self.manifest["resolved"]["epochs"]
        return Trial(
            event["trial"],
            values,
            self.space.configuration(values),
            created=event["elapsed"],
            until=values.get("tuner/epochs", epochs) / epochs,
        )


def after(trial, event):
    """The trial after one more event."""
    kind, elapsed = event["event"], event["elapsed"]
    changes = {}
    if kind == TRIAL_STARTED:
        started = elapsed if trial.started is None else trial.started
        changes = {"worker": event["worker"], "started": started}
    elif kind == EXECUTION_ENDED:
        run = Execution(**{name: event[name] for name in RUN_FIELDS})
        changes = {"executions": (*trial.executions, run)}
    elif kind == TRIAL_ENDED:
        changes = {
            "status": event["status"].lower(),
            "score": event["score"],
            "reason": event["reason"],
            "ended": elapsed,
            "peak_memory": event["peak_memory"],
        }
    return dataclasses.replace(trial, **changes)


def space_of(manifest):
    """The `SearchSpace` of a `search.json`."""
    resolved = manifest["resolved"]
    return Search.from_json(manifest["search"]).space(
        resolved["batch_sizes"],
        resolved["base_batch_size"],
        replicas=resolved["replicas"],
        dreg_layer=resolved["dreg_layer"],
    )
