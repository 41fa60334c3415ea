"""Search good settings of the techniques for a workload, and confirm them."""

import contextlib
import datetime
import importlib.util
import json
import logging
import math
import numbers
import pathlib
import shutil
import time

import keras_tuner
import rich.progress_bar
import rich.table

from keras_lbreg.checks import check_non_negative_int, check_positive_int
from keras_lbreg.comparison.results import (
    MANIFEST,
    SCHEMA,
    check_same,
    read_manifest,
)
from keras_lbreg.files import lock, write_json
from keras_lbreg.formatting import format_duration
from keras_lbreg.training.display import Display, score
from keras_lbreg.training.environment import environment
from keras_lbreg.training.examine import examine
from keras_lbreg.training.placement import choose_strategy
from keras_lbreg.tuning.confirm import BEST, confirm, is_control, write_best
from keras_lbreg.tuning.hyper_model import LargeBatchHyperModel
from keras_lbreg.tuning.report import (
    TuneResult,
    rank,
    read_trials,
    reason_of,
    settings_text,
    write_report,
)
from keras_lbreg.tuning.resumable import (
    ENGINES,
    ERROR,
    PROJECT,
    is_distributed,
    is_worker,
    make_tuner,
)
from keras_lbreg.tuning.workers import Workers, begin_worker, check_program
from keras_lbreg.workloads import Workload, get_workload

__all__ = ["TuneResult", "tune"]


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
        techniques: Names of techniques to try on and off. Defaults to all that
            suit the model, but regime adaptation, which trains longer.
        always: Names of techniques that every trial has.
        ranges: Values to try instead of a technique's own, as
            `{"dreg": {"weight": SearchRange(0.01, 1.0, log=True)}}`.
        learning_rate_factor: Smallest and largest factor on the learning rate,
            or `None`. Without it, what a technique gains by changing the size
            of the gradient looks like merit.
        confirm_seeds: Fresh seeds of the comparison; `0` for none.
        workers: Trials at a time on this machine: this program is started
            again so many times. On several machines, set KerasTuner's
            variables `KERASTUNER_TUNER_ID`, `KERASTUNER_ORACLE_IP` and
            `KERASTUNER_ORACLE_PORT`, and `out` to a folder that all share.
        strategy: Devices of a trial, as in `keras_lbreg.compare`.
        devices: Number of devices. Defaults to all.
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
    check_arguments(trials, executions, seed, confirm_seeds, workers, budget)
    check_engine(engine)
    placement = choose_strategy(strategy, devices)
    if placement.workers > 1:
        raise ValueError(
            "Invalid value for argument `strategy`. Expected one of this "
            "machine's devices; several machines run trials of their own. "
            f"Received: strategy={strategy!r}"
        )
    if not isinstance(workload, Workload):
        workload = get_workload(workload)
    sizes = workload.batch_size if batch_size is None else batch_size
    hypermodel = LargeBatchHyperModel(
        workload.held_out(holdout) if holdout else workload,
        sizes if isinstance(sizes, (list, tuple)) else [sizes],
        techniques,
        always=always,
        ranges=ranges,
        learning_rate_factor=learning_rate_factor,
        placement=placement,
    )
    path = pathlib.Path(out or f"runs/tune-{workload.name}")
    facts = examine(hypermodel.workload)

    def make(returning=None):
        return make_tuner(
            engine,
            hypermodel,
            keras_tuner.Objective(
                facts.objective, "max" if facts.maximize else "min"
            ),
            path,
            trials,
            epochs=workload.regime.epochs,
            seed=seed,
            seconds=None if budget is None else 60 * budget,
            control=hypermodel.space.control,
            returning=returning,
            executions=executions,
        )

    if is_worker():
        begin_worker()
        with quiet_tracing():
            make().search()
        raise SystemExit(0)
    config = {
        "small_batch_size": workload.regime.base_batch_size,
        "batch_sizes": hypermodel.space.batch_sizes,
        "epochs": workload.regime.epochs,
        "engine": engine,
        "executions": executions,
        "seed": seed,
        "holdout": holdout,
        "techniques": hypermodel.space.techniques,
        "always": hypermodel.space.always,
        "ranges": {
            name: {key: str(value) for key, value in values.items()}
            for name, values in hypermodel.space.ranges.items()
        },
        "learning_rate_factor": learning_rate_factor,
        "strategy": placement.strategy,
        "devices": placement.devices,
    }
    team = None
    if workers > 1 and not is_distributed():
        check_program()
        team = Workers(workers, path)
    base = progress if isinstance(progress, Display) else None
    base = base or Display(quiet=not progress)
    with lock(path), SearchDisplay(base, facts, trials) as display:
        manifest = open_folder(path, workload, config, fresh)
        hypermodel.display = display
        with contextlib.ExitStack() as stack:
            stack.enter_context(quiet_tracing())
            if team is not None:
                stack.enter_context(team.running())
            tuner = make(None if team is None else team.ids)
            display.begin_search(tuner)

            def on_progress():
                display.show(tuner)
                if team is not None:
                    team.check(len(tuner.oracle.end_order))

            tuner.on_progress = on_progress
            tuner.search()
        hypermodel.display = None
        found = tuple(read_trials(path / PROJECT))
        result = TuneResult(path, manifest, found, tuner=tuner)
        winner, control = choose(found, manifest, hypermodel.space)
        if winner is not None:
            folder = path / PROJECT / f"trial_{result.best.trial_id}"
            write_best(
                path / BEST, winner, workload, folder, result.best.trial_id
            )
        write_report(result)
        display.stop()
        if winner is not None and confirm_seeds:
            results = confirm(
                workload,
                winner,
                control,
                path / "confirm",
                confirm_seeds,
                strategy=strategy,
                devices=devices,
                progress=Display(base.console, base.quiet),
            )
            result = TuneResult(path, manifest, found, results, tuner)
            write_report(result)
    return result


def check_arguments(trials, executions, seed, confirm_seeds, workers, budget):
    """Raises unless the numbers have a meaning."""
    for name, value in {
        "trials": trials,
        "executions": executions,
        "workers": workers,
    }.items():
        check_positive_int(name, value)
    check_non_negative_int("seed", seed)
    check_non_negative_int("confirm_seeds", confirm_seeds)
    valid = isinstance(budget, numbers.Real) and 0 < budget < math.inf
    if budget is not None and not valid:
        raise ValueError(
            "Invalid value for argument `budget`. Expected a positive number "
            f"of minutes, or None. Received: budget={budget!r}"
        )


def check_engine(engine):
    """Raises unless KerasTuner has the engine here."""
    if engine not in ENGINES:
        raise ValueError(
            "Invalid value for argument `engine`. Expected one of "
            f"{', '.join(ENGINES)}. Received: engine={engine!r}"
        )
    if engine == "bayesian" and importlib.util.find_spec("sklearn") is None:
        raise ImportError(
            "The engine 'bayesian' needs scikit-learn: `pip install "
            "scikit-learn`. 'random' needs nothing."
        )


def open_folder(path, workload, config, fresh):
    """Writes the manifest of a search, or checks that of its folder."""
    new = {
        "schema": SCHEMA,
        "command": "tune",
        "name": workload.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(
            timespec="seconds"
        ),
        **environment(),
        "workload": examine(workload).describe(workload),
        "config": config,
        "arms": [],
        "seeds": [],
    }
    new = json.loads(json.dumps(new))
    there = path / MANIFEST
    if there.is_file():
        old = read_manifest(path)
        if old["command"] != "tune":
            raise ValueError(
                f"The folder {path} belongs to `{old['command']}`, and this is "
                "`tune`. Write to another folder."
            )
        if not fresh:
            check_same(
                old,
                new,
                f"The folder {path} holds another search ({{}}). Write to "
                "another folder, or start afresh, which deletes what is there.",
            )
            return old
    elif any((path / name).exists() for name in ("runs", PROJECT)):
        raise ValueError(
            f"The folder {path} holds results, but no {MANIFEST} that says "
            "whose. Nothing was changed: move it away, or write to another "
            "folder."
        )
    for name in (PROJECT, "confirm", "workers", "plots"):
        shutil.rmtree(path / name, ignore_errors=True)
    write_json(there, new)
    return new


def choose(trials, manifest, space):
    """The arms of the winner and of the best control at its batch size."""
    arms = [
        space.arm(trial.values)
        for trial in rank(trials, manifest["workload"]).trials
    ]
    if not arms:
        return None, None
    controls = (
        arm
        for arm in arms
        if is_control(arm) and arm.batch_size == arms[0].batch_size
    )
    return arms[0], next(controls, None)


class SearchDisplay(Display):
    """Progress of a search: the trial, the best so far, the time left."""

    def __init__(self, display, facts, trials):
        super().__init__(display.console, display.quiet)
        self.facts = facts
        self.total = trials
        self.best = None
        self._shown = 0
        self._before = 0
        self._began = time.monotonic()

    def begin_search(self, tuner):
        """Says what there is already."""
        self._before = self._shown = len(tuner.oracle.end_order)
        self._find_best(tuner)
        if self._before:
            self.say(f"{self._before} trials had ended before{self._best()}.")

    def run_started(self, run):
        if self.console.is_terminal:
            super().run_started(run)
        else:
            # A line a trial is enough.
            self.current, self.record = run, None
            self.time_left.start(run)

    def show(self, tuner):
        """Prints a line for each trial that has ended since the last call."""
        oracle = tuner.oracle
        while self._shown < len(oracle.end_order):
            trial = oracle.trials[oracle.end_order[self._shown]]
            self._shown += 1
            self.current = None
            self._find_best(tuner)
            if trial.status == "COMPLETED":
                value = score(self.facts, trial.score)
                values = trial.hyperparameters.values.items()
                own = {k: v for k, v in values if "/" not in k}
                text = f"{value}, {settings_text(own)}"
            else:
                folder = pathlib.Path(tuner.get_trial_dir(trial.trial_id))
                text = f"failed: {reason_of(folder / ERROR, trial.message)}"
            line = f"[{self._shown}/{self.total}] Trial {trial.trial_id}: "
            line += text
            left = self.seconds_left()
            if not self.console.is_terminal and left:
                line += f"; about {format_duration(left)} left"
            self.say(line + self._best())

    def stop(self):
        """Ends what is shown live."""
        self._stop()

    def seconds_left(self):
        """From the mean time of the trials of this session."""
        done = self._shown - self._before
        if not done:
            return None
        each = (time.monotonic() - self._began) / done
        return each * max(0, self.total - self._shown)

    def _find_best(self, tuner):
        best = tuner.oracle.get_best_trials(1)
        self.best = best[0] if best and best[0].status == "COMPLETED" else None

    def _best(self):
        if self.best is None:
            return ""
        value = score(self.facts, self.best.score)
        return f"; best so far {value} (trial {self.best.trial_id})"

    def _render(self):
        grid = rich.table.Table.grid(padding=(0, 2))
        left = self.seconds_left()
        left = "measuring" if left is None else f"about {format_duration(left)}"
        bar = rich.progress_bar.ProgressBar
        grid.add_row(
            bar(total=self.total, completed=self._shown, width=24),
            f"{self._shown} of {self.total} trials{self._best()}",
            f"{left} left",
        )
        run = self.current
        if run is not None:
            done = self.record.epoch if self.record else 0
            grid.add_row(
                bar(total=run.plan.epochs, completed=done, width=24),
                self._title(run),
                f"epoch {done} of {run.plan.epochs}" if done else "compiling",
            )
        return grid


@contextlib.contextmanager
def quiet_tracing():
    """Every trial traces a step of its own: no reason to warn."""
    logger = logging.getLogger("tensorflow")

    def keep(record):
        return "triggered tf.function retracing" not in record.getMessage()

    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
