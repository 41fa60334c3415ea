"""What a search knows of its trials, in step with KerasTuner and on disk."""

import datetime
import os
import resource
import sys
import time

import numpy as np

from keras_lbreg.search.events import TrialEnded, TrialProgress, TrialStarted
from keras_lbreg.search.ledger import (
    EXECUTION_ENDED,
    INTERRUPTED,
    SEARCH_ENDED,
    SESSION,
    TRIAL_CREATED,
    TRIAL_ENDED,
    TRIAL_STARTED,
    Ledger,
)
from keras_lbreg.search.oracles.trial_oracle import (
    COMPLETED,
    RUNNING,
    STOPPED,
    TrialOracle,
)
from keras_lbreg.search.search_results import best_trial
from keras_lbreg.search.search_state import SearchState


class TrialBook:
    """Creates trials and takes down what becomes of them.

    Whatever happens stands in the ledger before anything else is done about
    it. The oracle is rebuilt from the ledger: its methods are called again in
    the same order, with the values and scores that were recorded.

    Args:
        search: The `Search`.
        manifest: Content of its `search.json`.
        path: Its folder, whose lock the caller holds.
        on_event: Called with objects of `keras_lbreg.search.events`.

    Raises:
        ValueError: The ledger is damaged.

    Example:

    >>> book = TrialBook(search, manifest, path, print)
    >>> trial_id, status, values = book.create()

    Reference: `keras_tuner.Oracle`.
    """

    def __init__(self, search, manifest, path, on_event):
        self.search = search
        self.path = path
        self.on_event = on_event
        self._ledger = Ledger(path / "ledger.jsonl")
        events = self._ledger.read()
        self._state = SearchState(manifest, events)
        self._oracle = TrialOracle(
            search, manifest["space"], manifest["resolved"]["epochs"]
        )
        self._oracle.replay(events)
        # This session's clock goes on where the last one stopped.
        self._start = time.monotonic() - self._state.elapsed
        self._write(
            SESSION,
            time=datetime.datetime.now(datetime.UTC).isoformat("T", "seconds"),
            pid=os.getpid(),
            versions=manifest["versions"],
        )
        self.why = None

    @property
    def space(self):
        """The `SearchSpace`."""
        return self._state.space

    @property
    def elapsed(self):
        """Seconds of searching, over all sessions."""
        return time.monotonic() - self._start

    def results(self):
        """The `SearchResults` so far."""
        return self._state.results(self.path)

    def unfinished(self):
        """The trials that have no end: who ran each last, or `None`."""
        trials = self._state.trials.values()
        return {x.id: x.worker for x in trials if x.status == "running"}

    def values(self, trial_id):
        """The hyperparameter values of a trial."""
        return self._state.trials[trial_id].values

    def create(self):
        """Create a trial, if there is to be one more.

        Returns:
            The triple `(trial_id, status, values)`. The status is
            `"RUNNING"`; `"IDLE"` if the tuner waits for the end of another
            trial; or `"STOPPED"`, and `why` says why.
        """
        if not self.closed():
            trial_id, status, values = self._oracle.propose()
            if status == RUNNING:
                self._write(TRIAL_CREATED, trial=trial_id, values=values)
            if status != STOPPED:
                return trial_id, status, values
            self.why = "exhausted"
        return None, STOPPED, None

    def closed(self):
        """Whether no more trials are to be created; `why` says why."""
        if len(self._state.trials) >= self.search.trials:
            self.why = "trials"
        elif (self.search.budget or np.inf) <= self.elapsed:
            self.why = "budget"
        return self.why is not None

    def start(self, trial_id, worker):
        """A worker has started a trial, or goes on with it."""
        resumed = self._state.trials[trial_id].worker is not None
        self._write(TRIAL_STARTED, trial=trial_id, worker=worker)
        self.on_event(TrialStarted(self._state.trials[trial_id], resumed))

    def progress(self, trial_id, progress):
        """A trial has come further: the fields of a `TrialProgress`."""
        self.on_event(TrialProgress(trial_id, **progress))

    def execution_ended(self, trial_id, execution):
        """A run of a trial has ended.

        Args:
            trial_id: The trial.
            execution: Dictionary of `execution`, its number, and the fields
                of an `Execution`. One that is known already is left out.
        """
        known = self._state.trials[trial_id].executions
        if execution["execution"] >= len(known):
            self._write(EXECUTION_ENDED, trial=trial_id, **execution)

    def end(self, trial_id, status, reason=None):
        """A trial has ended.

        Args:
            trial_id: The trial.
            status: `"COMPLETED"` or `"FAILED"`.
            reason: Why it failed.
        """
        runs = self._state.trials[trial_id].executions
        accuracies = [run.val_accuracy for run in runs]
        self._write(
            TRIAL_ENDED,
            trial=trial_id,
            status=status,
            score=float(np.mean(accuracies)) if status == COMPLETED else None,
            reason=reason,
            peak_memory=peak_memory(),
        )
        self._oracle.end(trial_id, status, accuracies)
        self.on_event(
            TrialEnded(
                self._state.trials[trial_id],
                best_trial(self._state.trials.values()),
                self._state.elapsed,
            )
        )

    def end_search(self):
        """Nothing is left to do."""
        self._write(SEARCH_ENDED, why=self.why)

    def interrupt(self):
        """The search stops here for now."""
        self._write(INTERRUPTED)

    def _write(self, kind, **fields):
        fields["elapsed"] = round(self.elapsed, 3)
        self._state.add(self._ledger.append(kind, **fields))


def peak_memory():
    """Bytes that this process has taken at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
