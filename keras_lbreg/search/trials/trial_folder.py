"""The folder of one trial: what it is told, and how far it has come."""

import math
import pathlib

from keras_lbreg.experiments.arm import Arm
from keras_lbreg.experiments.json_file import read_json, write_json
from keras_lbreg.experiments.manifest import read_manifest
from keras_lbreg.experiments.results import read_run, run_dir
from keras_lbreg.experiments.run import ended_for_good

# The one arm of a trial's runs.
ARM = "trial"


class TrialFolder:
    """What there is of one trial on disk.

    Beside `spec.json` and `log.txt` it is an ordinary results folder, with
    one arm and a run for each execution.

    Args:
        path: The folder, `trials/<id>` of a search.
        executions: Number of runs that the trial will have.

    Example:

    >>> folder = TrialFolder("runs/tune-digits/trials/007", executions=2)
    >>> folder.failure()
    'the loss became nan in epoch 3'

    Reference: `keras_lbreg.experiments.read_results`.
    """

    def __init__(self, path, executions):
        self.path = pathlib.Path(path)
        self.executions = executions
        self.log = self.path / "log.txt"
        self._ended = []
        self._failure = None
        self._seen = None

    def write_spec(self, search, configuration, values, epochs):
        """Write down what the trial's process is to do.

        Args:
            search: The `Search`.
            configuration: The trial's `Configuration`.
            values: Its hyperparameter values, for what Hyperband says.
            epochs: Epochs of a run that is not stopped early.
        """
        past = values.get("tuner/trial_id")
        write_json(
            self.path / "spec.json",
            {
                "trial": self.path.name,
                "search": search.to_json(),
                "configuration": configuration.to_json(),
                "until": values.get("tuner/epochs", epochs) / epochs,
                "continue_from": past and str(self.path.parent / past),
            },
        )

    def read_spec(self):
        """What `write_spec` wrote."""
        shape = {"trial": str, "search": dict, "configuration": dict}
        return read_json(self.path / "spec.json", shape)

    def ended(self):
        """What is known of the runs that finished, in their order.

        Returns:
            List of dictionaries: the fields of an `Execution`, and its
            number as `execution`.
        """
        self._look()
        return self._ended

    def complete(self):
        """Whether all runs finished."""
        return len(self.ended()) == self.executions

    def failure(self, final=False):
        """Why a run failed, or `None`.

        Args:
            final: Whether a crash counts too; one is tried again otherwise.
        """
        self._look()
        if self._failure is None:
            return None
        reason, for_good = self._failure
        return reason if for_good or final else None

    def progress(self):
        """How far the present run is, if that is news, or `None`."""
        self._look()
        seed = len(self._ended)
        if seed == self.executions:
            return None
        journal = run_dir(self.path, ARM, seed) / "epochs.jsonl"
        try:
            size = journal.stat().st_size
        except OSError:
            return None
        if self._seen == (seed, size):
            return None
        self._seen = seed, size
        run = read_run(self.path, ARM, seed)
        if not run.epochs or math.isnan(run.final_val_accuracy):
            return None
        [arm] = read_manifest(self.path)["arms"]
        return {
            "execution": seed,
            "epoch": run.epochs[-1].epoch,
            "epochs": arm.get("until", arm["epochs"]),
            "val_accuracy": run.final_val_accuracy,
        }

    def last_words(self):
        """The last line that the trial's process printed, or `None`."""
        try:
            text = self.log.read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return None
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else None

    def _look(self):
        """Take in the summaries that have come since the last look."""
        if self._failure is not None and not self._failure[1]:
            # The process that goes on with the trial deletes what a crash
            # has left.
            self._failure = None
        while self._failure is None and len(self._ended) < self.executions:
            seed = len(self._ended)
            if not (run_dir(self.path, ARM, seed) / "summary.json").is_file():
                return
            run = read_run(self.path, ARM, seed)
            if run.status != "finished":
                self._failure = run.reason, ended_for_good(run)
            elif math.isnan(run.final_val_accuracy):
                self._failure = "there is no validation accuracy", True
            else:
                self._ended.append(
                    {
                        "execution": seed,
                        "seed": seed,
                        "val_accuracy": run.final_val_accuracy,
                        "epochs": run.epochs[-1].epoch,
                        "seconds": run.wall_time,
                    }
                )


def trial_arm(configuration):
    """The arm that trains with a trial's `Configuration`."""
    return Arm(
        ARM,
        "Trial",
        "tuned",
        techniques=tuple(configuration.techniques),
        hyperparameters=configuration.techniques,
        learning_rate_factor=configuration.learning_rate_factor,
    )
