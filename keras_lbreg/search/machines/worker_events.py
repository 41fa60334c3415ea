"""What a worker of a search on several machines tells of its own trials."""

import time

from keras_lbreg.search.events import TrialEnded, TrialProgress, TrialStarted
from keras_lbreg.search.ledger import (
    EXECUTION_ENDED,
    TRIAL_CREATED,
    TRIAL_ENDED,
    TRIAL_STARTED,
)
from keras_lbreg.search.oracles.trial_oracle import RUNNING
from keras_lbreg.search.search_state import SearchState


class WorkerEvents:
    """A desk that makes events of what passes over another desk.

    The chief has the ledger; this is for showing alone, and knows nothing of
    other workers' trials.

    Args:
        desk: The `RemoteDesk`.
        manifest: Content of `search.json`.
        on_event: Called with objects of `keras_lbreg.search.events`.

    Example:

    >>> desk = WorkerEvents(RemoteDesk(client, address), manifest, print)

    Reference: `TrialBook`, which tells of all trials.
    """

    def __init__(self, desk, manifest, on_event):
        self.desk = desk
        self.on_event = on_event
        self._state = SearchState(manifest)
        self._start = time.monotonic()

    def create_trial(self, worker):
        """A slot asks for a trial: its id, status and values."""
        answer = trial_id, status, values = self.desk.create_trial(worker)
        if status == RUNNING:
            self._add(TRIAL_CREATED, trial_id, values=values)
            self._add(TRIAL_STARTED, trial_id, worker=worker)
            self.on_event(TrialStarted(self._state.trials[trial_id]))
        return answer

    def get_trial(self, worker, trial_id, progress=None):
        """A slot has come further with its trial, or still has it."""
        self.desk.get_trial(worker, trial_id, progress)
        if progress is not None:
            self.on_event(TrialProgress(trial_id, **progress))

    def update_trial(self, worker, trial_id, execution):
        """A slot has ended an execution of its trial."""
        self.desk.update_trial(worker, trial_id, execution)
        self._add(EXECUTION_ENDED, trial_id, **execution)

    def end_trial(self, worker, trial_id, status, reason=None):
        """A slot has ended its trial."""
        self.desk.end_trial(worker, trial_id, status, reason)
        runs = self._state.trials[trial_id].executions
        accuracies = [run.val_accuracy for run in runs]
        self._add(
            TRIAL_ENDED,
            trial_id,
            status=status,
            score=sum(accuracies) / len(accuracies) if accuracies else None,
            reason=reason,
            peak_memory=0,
        )
        # The best of all is known to the chief alone.
        trial = self._state.trials[trial_id]
        self.on_event(TrialEnded(trial, None, self._state.elapsed))

    def _add(self, kind, trial_id, **fields):
        elapsed = time.monotonic() - self._start
        self._state.add(
            {"event": kind, "trial": trial_id, "elapsed": elapsed, **fields}
        )
