"""KerasTuner's choice of trials, which can be repeated from a ledger."""

import warnings

import keras_tuner
import numpy as np

from keras_lbreg.search.ledger import (
    EXECUTION_ENDED,
    TRIAL_CREATED,
    TRIAL_ENDED,
)
from keras_lbreg.search.oracles.make_oracle import make_oracle

# KerasTuner's names for what a trial, or the answer to a request for one, is.
RUNNING = "RUNNING"
IDLE = "IDLE"
STOPPED = "STOPPED"
COMPLETED = "COMPLETED"
FAILED = "FAILED"


class TrialOracle:
    """Proposes trials and is told how they ended, in plain data.

    Args:
        search: The `Search`.
        space: Every hyperparameter, as `keras_tuner` writes its `get_config`.
        epochs: Epochs of a run that is not stopped early.

    Example:

    >>> oracle = TrialOracle(search, space, epochs=20)
    >>> oracle.propose()
    ('000', 'RUNNING', {'batch_size': 512, ...})
    >>> oracle.end("000", "COMPLETED", [0.97, 0.98])

    Reference: `keras_tuner.Oracle`.
    """

    def __init__(self, search, space, epochs):
        self._oracle = make_oracle(search, space, epochs)
        self._requests = 0

    def propose(self):
        """The next trial: `(trial_id, status, values)`.

        The status is `"RUNNING"`, `"IDLE"` where another trial has to end
        first, or `"STOPPED"` where nothing is left to try.
        """
        self._requests += 1
        with warnings.catch_warnings():
            # The Gaussian process has its doubts about noisy scores.
            warnings.simplefilter("ignore")
            # It gives a worker that has a trial no other one.
            trial = self._oracle.create_trial(f"request-{self._requests}")
        if trial.status != RUNNING:
            return None, trial.status, None
        values = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in trial.hyperparameters.values.items()
        }
        trial.hyperparameters.values = values
        return trial.trial_id, RUNNING, dict(values)

    def end(self, trial_id, status, accuracies):
        """A trial has ended: the mean of the accuracies is its score."""
        known = self._oracle.get_trial(trial_id)
        if status == COMPLETED:
            # Values of the same step are those of several executions.
            for accuracy in accuracies:
                self._oracle.update_trial(
                    trial_id, {"val_accuracy": accuracy}, step=0
                )
        self._oracle.end_trial(
            keras_tuner.engine.trial.Trial(
                known.hyperparameters, trial_id, status
            )
        )

    def replay(self, events):
        """Go where the events of a ledger have led.

        Every call is repeated in the ledger's order, and what it recorded
        counts: another version of KerasTuner, or of the libraries under it,
        may propose other values.

        Args:
            events: The ledger's events.

        Raises:
            ValueError: The ledger numbers its trials in another way.
        """
        accuracies = {}
        for event in events:
            trial_id = event.get("trial")
            if event["event"] == TRIAL_CREATED:
                self._oracle.recorded = event["values"]
                expected, _, _ = self.propose()
                if trial_id != expected:
                    raise ValueError(
                        "Cannot go on with the search: its ledger creates "
                        f"trial {trial_id} where {expected} comes next. "
                        "Restore ledger.jsonl, or start again with `--fresh`."
                    )
                accuracies[trial_id] = []
            elif event["event"] == EXECUTION_ENDED:
                accuracies[trial_id].append(event["val_accuracy"])
            elif event["event"] == TRIAL_ENDED:
                self.end(trial_id, event["status"], accuracies[trial_id])
        self._oracle.recorded = None
