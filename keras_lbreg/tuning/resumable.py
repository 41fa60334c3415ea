"""KerasTuner's tuners with a project folder that survives `kill -9`.

KerasTuner writes its files in place, one after the other, so that a process
killed between two of them loses a trial or runs it twice:

| killed                                   | KerasTuner 1.4   | here           |
| ---------------------------------------- | ---------------- | -------------- |
| while a file is written                  | unreadable       | the old file   |
| before `oracle.json` knows a new trial   | it stays RUNNING | proposed again |
| before `oracle.json` knows a trial's end | run again        | recorded       |
| before the tuner's first own file        | all forgotten    | reloaded       |
| anywhere in a grid                       | the grid ends    | it goes on     |

A trial that was running is run again, under its name: what it has recorded in
its folder is not trained twice.
"""

import functools
import gc
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
from keras_tuner.src.tuners.gridsearch import LinkedList

from keras_lbreg.files import read_json, write_file, write_json
from keras_lbreg.training.records import JOURNAL
from keras_lbreg.training.run import in_one_line
from keras_lbreg.tuning.workers import serve

PROJECT = "search"
ERROR = "error.txt"
STARTS = "starts.json"

# One trial in so many is a control.
CONTROLS = 5

# A trial that ends its process so often before the next epoch has failed.
MOST_STARTS = 6

# KerasTuner's id of a tuner without workers.
ALONE = "tuner0"


class ResumableOracle(keras_tuner.Oracle):
    """Mix-in in front of an oracle of KerasTuner.

    It proposes no trial after so many `seconds` of searching, over all
    sessions, and makes one in `CONTROLS` a `control(values)`.
    """

    def __init__(self, *args, seconds=None, control=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.seconds = seconds
        self.control = control
        self._began = time.monotonic()
        self.verbose = 0

    def populate_space(self, trial_id):
        spent = time.monotonic() - self._began
        if self.seconds is not None and spent > self.seconds:
            return {"status": TrialStatus.STOPPED}
        number = len(self.trials)
        # Made from the trial's number: the same after a restart.
        self._random_state = np.random.RandomState(self.seed + number)
        response = super().populate_space(trial_id)
        values = response.get("values")
        its_turn = self.control is not None and number % CONTROLS == 0
        if its_turn and values and "tuner/trial_id" not in values:
            if number == 0:
                # As published.
                values |= self.get_space().values
            response["values"] = self.control(values)
        return response

    def save(self):
        write_file(self._get_oracle_fname(), json.dumps(self.get_state()))

    def _save_trial(self, trial):
        path = pathlib.Path(self._get_trial_dir(trial.trial_id), "trial.json")
        write_file(path, json.dumps(trial.get_state()))

    def get_state(self):
        spent = time.monotonic() - self._began
        return {**super().get_state(), "seconds": spent}

    def set_state(self, state):
        # Of other trials `oracle.json` knew nothing: they had not begun.
        self.trials = {key: self.trials[key] for key in state["start_order"]}
        super().set_state(state)
        self._began = time.monotonic() - state["seconds"]
        for trial in list(self.ongoing_trials.values()):
            if trial.status != TrialStatus.RUNNING:
                self.end_trial(trial)
        self._before = self.ongoing_trials

    def reload(self):
        super().reload()
        if roles.is_chief_oracle():
            # Workers keep their trials, and ask for them under their ids.
            kept = {k: v for k, v in self._before.items() if k != ALONE}
            self.ongoing_trials = kept
            for trial in kept.values():
                self._retry_queue.remove(trial.trial_id)


class GridOracle(ResumableOracle, keras_tuner.oracles.GridSearchOracle):
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

    # While a trial runs: models, by the hyperparameters' identity.
    _built = None

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

    def run_trial(self, trial, *args, **kwargs):
        folder = pathlib.Path(self.get_trial_dir(trial.trial_id))
        path = folder / STARTS
        recorded = sum(x.stat().st_size for x in folder.rglob(JOURNAL))
        before = read_json(path) if path.is_file() else {}
        same = before.get("recorded") == recorded
        starts = 1 + (before["starts"] if same else 0)
        if starts > MOST_STARTS:
            raise FailedTrialError(
                f"its process ended {MOST_STARTS} times before the next epoch; "
                "memory may be short"
            )
        write_json(path, {"starts": starts, "recorded": recorded})
        self._built = {}
        try:
            return super().run_trial(trial, *args, **kwargs)
        finally:
            self._built = None

    def _try_build(self, hp):
        # KerasTuner builds a model for each execution of a trial; `fit` gives
        # it the weights of the execution.
        if self._built is None:
            return super()._try_build(hp)
        if id(hp) not in self._built:
            # With `hp`, so that no other object gets its identity.
            self._built[id(hp)] = hp, super()._try_build(hp)
        return self._built[id(hp)][1]

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
            reason = in_one_line(error).removeprefix("FailedTrialError: ")
            path = pathlib.Path(self.get_trial_dir(trial.trial_id), ERROR)
            write_file(path, f"{reason}\n\n{trial.message}")

    def pre_create_trial(self):
        if self._is_worker():
            # One that has nothing to do asks again and again.
            time.sleep(0.1)

    def search(self, *args, **kwargs):
        if roles.is_chief_oracle():
            self.save()
            serve(self.oracle, self.on_progress)
            return
        # KerasTuner collects garbage twice a run. Of what was imported before
        # there is none, and to look through it takes longer than a short run.
        was_frozen = gc.get_freeze_count() > 0
        gc.collect()
        gc.freeze()
        try:
            super().search(*args, **kwargs)
        finally:
            # What the user's program has frozen stays so.
            if not was_frozen:
                gc.unfreeze()

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


class RandomOracle(ResumableOracle, keras_tuner.oracles.RandomSearchOracle):
    """Random search."""


class BayesianOracle(
    ResumableOracle, keras_tuner.oracles.BayesianOptimizationOracle
):
    """A Gaussian process, after some random trials."""

    def populate_space(self, trial_id):
        with warnings.catch_warnings():
            # Of scikit-learn, on a kernel that KerasTuner has chosen.
            warnings.filterwarnings("ignore", "The optimal value found for")
            return super().populate_space(trial_id)


class HyperbandOracle(ResumableOracle, keras_tuner.oracles.HyperbandOracle):
    """Successive halving in brackets."""


ENGINES = {
    "bayesian": (ResumableTuner, BayesianOracle),
    "random": (ResumableTuner, RandomOracle),
    "hyperband": (ResumableHyperband, HyperbandOracle),
    "grid": (ResumableTuner, GridOracle),
}


def make_tuner(
    engine,
    hypermodel,
    objective,
    folder,
    trials,
    epochs=1,
    seed=0,
    executions=1,
    **arguments,
):
    """A tuner of KerasTuner whose project is the folder `search` in `folder`.

    `epochs` are those of the longest trial of Hyperband, `arguments` are the
    `ResumableOracle`'s.
    """
    kind, oracle_kind = ENGINES[engine]
    if engine == "hyperband":
        arguments |= {"max_epochs": epochs, "hyperband_iterations": None}
    elif engine == "bayesian":
        # KerasTuner's own number, three for each dimension of the space, is
        # more than most searches have trials.
        arguments["num_initial_points"] = min(10, max(2, trials // 3))
    elif engine == "grid":
        # It has an order of its own.
        arguments["control"] = None
    oracle = oracle_kind(
        objective=objective,
        # Neighbouring seeds of KerasTuner give nearly the same trials, and 0
        # is a random one.
        seed=1 + 1_000_003 * seed % 2**31,
        max_consecutive_failed_trials=10**9,
        **arguments,
    )
    # Hyperband's oracle takes none.
    oracle.max_trials = trials
    return kind(
        oracle=oracle,
        hypermodel=hypermodel,
        directory=str(folder),
        project_name=PROJECT,
        executions_per_trial=executions,
    )


def role():
    """What KerasTuner's variables make of this process, or `None`."""
    if not roles.has_chief_oracle():
        return None
    return "chief" if roles.is_chief_oracle() else "worker"
