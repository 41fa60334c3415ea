"""Search good settings of the techniques for a workload, and confirm them."""

import contextlib
import datetime
import functools
import json
import pathlib
import shutil
import time

import keras_tuner

from keras_lbreg.checks import (
    check_choice,
    check_non_negative_int,
    check_positive_int,
    check_positive_number,
)
from keras_lbreg.comparison.results import SCHEMA, open_folder
from keras_lbreg.formatting import format_duration
from keras_lbreg.training.display import Display, score
from keras_lbreg.training.environment import environment
from keras_lbreg.training.examine import examine
from keras_lbreg.tuning.confirm import confirm, write_best
from keras_lbreg.tuning.hyper_model import LargeBatchHyperModel
from keras_lbreg.tuning.report import (
    read_search,
    reason_of,
    settings_text,
    write_report,
)
from keras_lbreg.tuning.resumable import ENGINES, PROJECT, make_tuner, role
from keras_lbreg.tuning.workers import Workers, begin_worker
from keras_lbreg.workloads import Workload, get_workload


def tune(
    workload,
    batch_size=None,
    trials=30,
    engine="random",
    executions=1,
    budget=None,
    seed=0,
    holdout=0.2,
    out=None,
    techniques=None,
    always=("lr_scaling",),
    ranges=None,
    learning_rate_factor=(0.25, 4.0),
    confirm_seeds=3,
    workers=1,
    strategy="one",
    devices=None,
    fresh=False,
    progress=True,
):
    """Searches good settings of the techniques for a large batch.

    A tuner of KerasTuner tries techniques on and off, with their settings and
    a factor on the learning rate, at equal epochs. A trial is judged by its
    plain network on data held out of the training data. One trial in five has
    no technique but learning-rate scaling (in a grid, those that the grid
    has): the best of these is the winner's control. Then the winner is trained
    again on all training data with fresh seeds, beside the small batch, the
    large batch and that control, and judged by the validation data.

    Called again after an interruption it goes on: no trial that has ended is
    lost or run again, and one that was running goes on from its last epoch.
    `trials`, `budget`, `confirm_seeds` and `workers` may be others then.

    Args:
        workload: A `keras_lbreg.Workload`, or what
            `keras_lbreg.get_workload` takes.
        batch_size: The large batch size, or a list of some to try. Defaults to
            the workload's.
        trials: Number of trials. Defaults to `30`.
        engine: What chooses the next trial: `"random"`, `"bayesian"` (a
            Gaussian process; needs scikit-learn), `"hyperband"` (stops most
            trials early) or `"grid"`. Defaults to `"random"`.
        executions: Seeds of each trial, which counts by their mean.
        budget: Optional number of minutes of searching, over all sessions,
            after which no trial begins.
        seed: Seed of the engine. Equal seeds propose equal trials.
        holdout: Share of the training data that trials are judged by. Defaults
            to `0.2`; `0` judges by the validation data, which are no measure
            of the winner then.
        out: Folder of the results. Defaults to `runs/tune-<workload>`.
        techniques, always, ranges, learning_rate_factor, strategy, devices:
            As in `keras_lbreg.tuning.LargeBatchHyperModel`.
        confirm_seeds: Fresh seeds of the comparison; `0` for none.
        workers: Trials at a time on this machine: this program is started
            again so many times. On several machines, set KerasTuner's
            variables `KERASTUNER_TUNER_ID`, `KERASTUNER_ORACLE_IP` and
            `KERASTUNER_ORACLE_PORT`, and `out` to a folder that all share.
        fresh: Whether to delete an earlier search in the folder first.
        progress: Whether to show what goes on.

    Returns:
        A `TuneResult`; print it for the tables. A worker's process ends here.

    Raises:
        ValueError: Something does not fit together; no trial was begun.

    Example:

    >>> result = keras_lbreg.tune(workload, batch_size=64, trials=5)
    >>> print(result)
    >>> result.tuner.results_summary()

    Reference:

    - [KerasTuner](https://keras.io/keras_tuner)
    """
    check_positive_int("trials", trials)
    check_positive_int("executions", executions)
    check_positive_int("workers", workers)
    check_non_negative_int("seed", seed)
    check_non_negative_int("confirm_seeds", confirm_seeds)
    if budget is not None:
        check_positive_number("budget", budget)
    check_choice("engine", engine, ENGINES)
    if not isinstance(workload, Workload):
        workload = get_workload(workload)
    where = {"strategy": strategy, "devices": devices}
    hypermodel = LargeBatchHyperModel(
        workload.held_out(holdout) if holdout else workload,
        batch_size,
        techniques,
        always=always,
        learning_rate_factor=learning_rate_factor,
        ranges=ranges,
        **where,
    )
    space, facts = hypermodel.space, hypermodel.facts
    path = pathlib.Path(out or f"runs/tune-{workload.name}")
    direction = "max" if facts.maximize else "min"
    make = functools.partial(
        make_tuner,
        engine,
        hypermodel,
        keras_tuner.Objective(facts.objective, direction),
        path,
        trials,
        epochs=workload.regime.epochs,
        seed=seed,
        executions=executions,
        seconds=None if budget is None else 60 * budget,
        control=space.control,
    )
    if role() == "worker":
        begin_worker()
        make().search()
        raise SystemExit(0)
    config = {
        "small_batch_size": workload.regime.base_batch_size,
        "batch_sizes": space.batch_sizes,
        "epochs": workload.regime.epochs,
        "engine": engine,
        "executions": executions,
        "seed": seed,
        "holdout": holdout,
        "techniques": space.tried,
        "always": always,
        "ranges": space.ranges,
        "learning_rate_factor": learning_rate_factor,
        "strategy": hypermodel.placement.strategy,
        "devices": hypermodel.placement.devices,
    }
    alone = workers == 1 or role() is not None
    team = None if alone else Workers(workers, path)
    with open_folder(path, manifest_of(workload, config), fresh):
        for name in (PROJECT, "workers", "confirm-*") if fresh else ():
            for folder in path.glob(name):
                shutil.rmtree(folder)
        tuner = make()
        search(tuner, SearchDisplay(facts, trials, tuner, not progress), team)
        result = read_search(path, tuner)
        if result.best is not None:
            write_best(result.best_path, space, result.best, workload)
        write_report(result)
        if result.best is not None and confirm_seeds:
            where["progress"] = progress
            confirm(workload, space, result, confirm_seeds, **where)
            write_report(result)
    return result


def manifest_of(workload, config):
    """What says which search a folder belongs to."""
    now = datetime.datetime.now(datetime.UTC)
    manifest = {
        "schema": SCHEMA,
        "command": "tune",
        "name": workload.name,
        "created": now.isoformat(timespec="seconds"),
        **environment(),
        "workload": examine(workload).describe(workload),
        "config": config,
        "arms": [],
        "seeds": [],
    }
    return json.loads(json.dumps(manifest, default=str))


def search(tuner, display, team=None):
    """Runs all trials, in this process or in a team of `Workers`."""

    def on_progress():
        display.show_ended()
        if team is not None:
            team.check(len(tuner.oracle.end_order))

    tuner.on_progress = on_progress
    tuner.hypermodel.display = display
    with display, team.running() if team else contextlib.nullcontext():
        tuner.search()


class SearchDisplay(Display):
    """Progress of a search: the trial, the best so far, the time left."""

    unit = "trials"

    def __init__(self, facts, trials, tuner, quiet):
        super().__init__(quiet=quiet)
        self.facts = facts
        self.total = trials
        self.oracle = tuner.oracle
        self.folder_of = tuner.get_trial_dir
        self.before = self.ended = len(self.oracle.end_order)
        self.began = time.monotonic()
        if self.before:
            self.say(f"{self.before} trials had ended before{self.note()}.")

    def run_ended(self, run, result, skipped=False):
        self.current = None
        self.time_left.end(run)

    def ended_trials(self):
        return [self.oracle.trials[name] for name in self.oracle.end_order]

    def show_ended(self):
        """Prints a line for each trial that has ended since the last call."""
        for trial in self.ended_trials()[self.ended :]:
            self.ended += 1
            if trial.status == "COMPLETED":
                text = score(self.facts, trial.score)
                text += f", {settings_text(trial.hyperparameters.values)}"
            else:
                folder = self.folder_of(trial.trial_id)
                text = f"failed: {reason_of(folder, trial.message)}"
            text += self.note()
            if not self.console.is_terminal and self.remaining():
                text += f"; about {format_duration(self.remaining())} left"
            place = f"[{self.ended}/{self.total}]"
            self.say(f"{place} Trial {trial.trial_id}: {text}")

    def note(self):
        trials = self.ended_trials()[: self.ended]
        done = [trial for trial in trials if trial.status == "COMPLETED"]
        if not done:
            return ""
        choose = max if self.facts.maximize else min
        best = choose(done, key=lambda trial: trial.score)
        value = score(self.facts, best.score)
        return f"; best so far {value} (trial {best.trial_id})"

    def remaining(self):
        """Seconds, from the mean time of the trials of this session."""
        done = self.ended - self.before
        if not done:
            return None
        each = (time.monotonic() - self.began) / done
        return each * max(0, self.total - self.ended)
