"""KerasTuner's tuners with a project folder that survives `kill -9`.

KerasTuner writes its files in place, one after the other, so that a process
killed between two of them loses a trial or runs it twice:

| killed                                  | KerasTuner 1.4 | here             |
| --------------------------------------- | -------------- | ---------------- |
| while a file is written                 | unreadable     | the old file     |
| before `oracle.json` knows a new trial  | it stays RUNNING | proposed again |
| before `oracle.json` knows a trial's end | run again     | recorded         |
| before the tuner's first own file       | all forgotten  | reloaded         |
| anywhere in a grid                      | the grid ends  | it goes on       |

A trial that was running is run again, under its name: what it has recorded in
its folder is not trained twice.
"""

import contextlib
import functools
import io
import json
import os
import pathlib
import time
import traceback
import warnings

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import TrialStatus
from keras_tuner.errors import FailedTrialError, FatalError
from keras_tuner.src.distribute import utils as roles
from keras_tuner.src.engine.metrics_tracking import MetricsTracker
from keras_tuner.src.tuners.gridsearch import LinkedList

from keras_lbreg.files import read_json, write_file, write_json
from keras_lbreg.training.records import JOURNAL

ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED)
PROJECT = "search"
ERROR = "error.txt"
STARTS = "starts.json"

# One trial in so many has no technique but learning-rate scaling.
CONTROLS = 5

# A trial that ends its process so often before the next epoch has failed.
MOST_STARTS = 6

# KerasTuner's id of a tuner without workers.
ALONE = "tuner0"

# Seconds between two questions of a worker that has nothing to do.
PAUSE = 0.1


class ResumableOracle(keras_tuner.Oracle):
    """Mix-in in front of an oracle of KerasTuner.

    Args:
        most_trials: Number of trials after which none is proposed.
        seconds: Seconds of searching after which none is proposed, over all
            sessions.
        control: Optional function from hyperparameter values to those of a
            trial without techniques, for every fifth trial.
        returning: Ids of the workers that ask again for the trial they had.
            Defaults to all of them for a chief, as KerasTuner's workers keep
            theirs, and to none without workers.
    """

    def __init__(
        self,
        *args,
        most_trials=None,
        seconds=None,
        control=None,
        returning=None,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.most_trials = most_trials
        self.seconds = seconds
        self.control = control
        self.returning = returning
        self._returned = {}
        self._seconds_before = 0.0
        self._began = time.monotonic()

    @property
    def seconds_spent(self):
        """Seconds of searching so far, in all sessions."""
        return self._seconds_before + time.monotonic() - self._began

    def populate_space(self, trial_id):
        enough = self.most_trials is not None and (
            len(self.trials) >= self.most_trials
        )
        late = self.seconds is not None and self.seconds_spent > self.seconds
        if enough or late:
            return {"status": TrialStatus.STOPPED, "values": None}
        number = len(self.trials)
        # Made from the trial's number: the same after a restart.
        self._random_state = np.random.RandomState(self.seed + number)
        with warnings.catch_warnings():
            # Of scikit-learn, on a kernel that KerasTuner has chosen.
            warnings.filterwarnings("ignore", "The optimal value found for")
            response = super().populate_space(trial_id)
        values = response.get("values")
        its_turn = self.control and number % CONTROLS == 0
        if its_turn and values and "tuner/trial_id" not in values:
            if number == 0:
                # As published.
                values |= {
                    hp.name: hp.default
                    for hp in self.hyperparameters.space
                    if hp.name in values
                }
            response["values"] = self.control(values)
        return response

    def save(self):
        write_file(self._get_oracle_fname(), json.dumps(self.get_state()))

    def _save_trial(self, trial):
        path = pathlib.Path(self._get_trial_dir(trial.trial_id), "trial.json")
        write_file(path, json.dumps(trial.get_state()))

    def get_state(self):
        return {**super().get_state(), "seconds": self.seconds_spent}

    def set_state(self, state):
        # Of other trials `oracle.json` knew nothing: they had not begun.
        self.trials = {key: self.trials[key] for key in state["start_order"]}
        super().set_state(state)
        self._seconds_before = state.get("seconds", 0.0)
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if trial.status in ENDED:
                del self.ongoing_trials[tuner_id]
                if trial.trial_id not in self.end_order:
                    self._run_times[trial.trial_id] += 1
                    self.end_order.append(trial.trial_id)
                    self.update_space(trial.hyperparameters)
                    self._record_values(trial)
        self._returned = {
            tuner_id: trial
            for tuner_id, trial in self.ongoing_trials.items()
            if self._returns(tuner_id)
        }

    def _returns(self, tuner_id):
        if self.returning is not None:
            return tuner_id in self.returning
        return roles.is_chief_oracle() and tuner_id != ALONE

    def reload(self):
        super().reload()
        self.ongoing_trials = self._returned
        running = {trial.trial_id for trial in self._returned.values()}
        waiting = set(self._retry_queue) - running
        # It is emptied from its end: in the order in which they began.
        self._retry_queue = [x for x in reversed(self.trials) if x in waiting]
        for key in waiting:
            self.trials[key].metrics = MetricsTracker()


class ResumableGridOracle(
    ResumableOracle, keras_tuner.oracles.GridSearchOracle
):
    """KerasTuner's grid keeps its place in memory alone."""

    def set_state(self, state):
        super().set_state(state)
        place = functools.cmp_to_key(
            lambda a, b: self._compare(
                self.trials[a].hyperparameters.values,
                self.trials[b].hyperparameters.values,
            )
        )
        self._ordered_ids = LinkedList()
        for key in sorted(self.start_order, key=place):
            self._ordered_ids.insert(key)
        self._populate_next = [*self.start_order[:1], *self.end_order]


class ResumableTuner(keras_tuner.Tuner):
    """Mix-in in front of a tuner of KerasTuner, with a `ResumableOracle`."""

    def _get_tuner_fname(self):
        # One name, whether there are workers or not.
        return os.path.join(str(self.project_dir), "tuner.json")

    def save(self):
        if not self._is_worker():
            self.oracle.save()
            write_file(self._get_tuner_fname(), json.dumps(self.get_state()))

    def on_search_begin(self):
        # Before there is a trial: without the tuner's file nothing is reloaded.
        self.save()

    def pre_create_trial(self):
        if self._is_worker():
            time.sleep(PAUSE)

    def on_trial_begin(self, trial):
        super().on_trial_begin(trial)
        folder = pathlib.Path(self.get_trial_dir(trial.trial_id))
        path = folder / STARTS
        before = read_json(path) if path.is_file() else {}
        recorded = sum(x.stat().st_size for x in folder.rglob(JOURNAL))
        same = before.get("recorded") == recorded
        trial.starts = 1 + (before["starts"] if same else 0)
        write_json(path, {"starts": trial.starts, "recorded": recorded})

    def run_trial(self, trial, *args, **kwargs):
        if trial.starts > MOST_STARTS:
            raise FailedTrialError(
                f"its process ended {MOST_STARTS} times before the next epoch; "
                "memory may be short"
            )
        return super().run_trial(trial, *args, **kwargs)

    def _try_run_and_update_trial(self, trial, *args, **kwargs):
        # KerasTuner prints tracebacks, and sends no message to a chief.
        try:
            self._run_and_update_trial(trial, *args, **kwargs)
            trial.status = TrialStatus.COMPLETED
        except FatalError:
            raise
        except Exception as error:
            trial.status = TrialStatus.FAILED
            trial.message = traceback.format_exc()
            folder = pathlib.Path(self.get_trial_dir(trial.trial_id))
            content = f"{in_one_line(error)}\n\n{trial.message}"
            write_file(folder / ERROR, content)

    def search(self, *args, **kwargs):
        if not roles.is_chief_oracle():
            return super().search(*args, **kwargs)
        from keras_lbreg.tuning.workers import serve

        self.save()
        return serve(self.oracle, self.on_progress)

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        self.on_progress()

    def on_progress(self):
        """Called after each trial, and all the time while workers search."""


class ResumableHyperband(ResumableTuner, keras_tuner.Hyperband):
    """Hyperband's way of running a trial, with an oracle from outside."""

    def __init__(self, oracle, hypermodel=None, **kwargs):
        keras_tuner.Tuner.__init__(
            self, oracle=oracle, hypermodel=hypermodel, **kwargs
        )


class ResumableRandomOracle(
    ResumableOracle, keras_tuner.oracles.RandomSearchOracle
):
    """Random search."""


class ResumableBayesianOracle(
    ResumableOracle, keras_tuner.oracles.BayesianOptimizationOracle
):
    """A Gaussian process, after some random trials."""


class ResumableHyperbandOracle(
    ResumableOracle, keras_tuner.oracles.HyperbandOracle
):
    """Successive halving in brackets."""


ENGINES = {
    "bayesian": (ResumableTuner, ResumableBayesianOracle),
    "random": (ResumableTuner, ResumableRandomOracle),
    "hyperband": (ResumableHyperband, ResumableHyperbandOracle),
    "grid": (ResumableTuner, ResumableGridOracle),
}


def in_one_line(error):
    """What went wrong in a trial."""
    text = str(error).strip() or "no message"
    if text.startswith("Graph execution error"):
        # TensorFlow says where it was before it says what has happened.
        text = text.split("\n\n")[-1].strip() or text
    line = text.splitlines()[0]
    if isinstance(error, FailedTrialError):
        return line
    return f"{type(error).__name__}: {line}"


def make_tuner(
    engine,
    hypermodel,
    objective,
    folder,
    trials,
    epochs=1,
    seed=0,
    seconds=None,
    control=None,
    returning=None,
    executions=1,
    tuner_class=None,
    **arguments,
):
    """A tuner of KerasTuner whose project is the folder `search` in `folder`.

    Args:
        engine: One of `ENGINES`.
        hypermodel: The `keras_tuner.HyperModel`.
        objective: The `keras_tuner.Objective`.
        folder: Folder of the results.
        trials: Number of trials, at most.
        epochs: Epochs of the longest trial of Hyperband.
        seed: Integer of at least 0.
        seconds: See `ResumableOracle`.
        control: See `ResumableOracle`.
        returning: See `ResumableOracle`.
        executions: Runs of a trial.
        tuner_class: A subclass of the engine's tuner, in its place.
        arguments: Arguments of the tuner.
    """
    kind, oracle_kind = ENGINES[engine]
    own = {"max_trials": trials}
    if engine == "hyperband":
        own = {"max_epochs": epochs, "hyperband_iterations": None}
    elif engine == "bayesian":
        # KerasTuner's own number, three for each dimension of the space, is
        # more than most searches have trials.
        own["num_initial_points"] = min(10, max(2, trials // 3))
    oracle = oracle_kind(
        objective=objective,
        # Neighbouring seeds of KerasTuner give nearly the same trials, and 0
        # is a random one.
        seed=1 + 1_000_003 * seed % 2**31,
        max_consecutive_failed_trials=10**9,
        most_trials=trials,
        seconds=seconds,
        # A grid has an order of its own.
        control=None if engine == "grid" else control,
        returning=returning,
        **own,
    )
    oracle.verbose = 0
    # It prints that it reloads.
    with contextlib.redirect_stdout(io.StringIO()):
        return (tuner_class or kind)(
            oracle=oracle,
            hypermodel=hypermodel,
            directory=str(folder),
            project_name=PROJECT,
            executions_per_trial=executions,
            **arguments,
        )


def is_distributed():
    """Whether KerasTuner's variables name a chief."""
    return roles.has_chief_oracle()


def is_worker():
    """Whether this process is one of the workers that they name."""
    return roles.has_chief_oracle() and not roles.is_chief_oracle()
