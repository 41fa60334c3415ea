"""A KerasTuner hypermodel: a workload, trained with large batches."""

import dataclasses
import functools
import inspect
import json
import math
import pathlib
import shutil
import sys
import weakref

import keras
import keras_tuner
from keras_tuner.errors import FailedTrialError, FatalValueError
from keras_tuner.src.engine.tuner_utils import SaveBestEpoch, TunerCallback

from keras_lbreg.callbacks.multi_worker_backup import (
    set_training_state,
    training_state,
)
from keras_lbreg.data.samples import check_data, is_tf_dataset, take_rows
from keras_lbreg.files import read_json, write_json
from keras_lbreg.schedules.regime import Regime
from keras_lbreg.training.arm import make_plan
from keras_lbreg.training.examine import Facts, build_plain, examine
from keras_lbreg.training.placement import ONE_DEVICE, Placement
from keras_lbreg.training.records import BACKUP
from keras_lbreg.training.run import Run, failure_of
from keras_lbreg.tuning.space import SearchSpace
from keras_lbreg.workloads import Workload

METRICS = "metrics.json"
PLAN = "plan.json"


class LargeBatchHyperModel(keras_tuner.HyperModel):
    """Searches for what makes a model of yours train well with large batches.

    Any tuner of KerasTuner takes it. A trial has a batch size, a factor on
    the learning rate, and techniques with their hyperparameters. It trains
    your model by the small batch's regime at that batch size,

    ```
    learning rate = factor * (regime, scaled as `lr_scaling` says)
    epochs        = regime.epochs, stretched under `regime_adaptation`
    updates       = epochs * floor(samples / batch size)
    ```

    and its score is that of the plain network, without anything that a
    technique added for training and with normalization statistics estimated
    anew: the final `val_...` metrics, `val_loss` being the loss you compiled.

    Execution `k` of every trial has seed `seed + k`, for weights and for the
    order of the samples: trials are compared on equal seeds, and the same
    search gives the same scores on one machine. Records and a backup of every
    epoch are in the trial's folder, from which an interrupted trial goes on.

    Batch size and epochs are part of a trial: `batch_size`, `epochs` and
    `steps_per_epoch` are no arguments of `search` here. Hyperband's `epochs`
    are fractions of the regime: a trial that gets `max_epochs / 3` of them
    stops after the first third, and goes on from there, optimizer included.

    A trial whose loss becomes NaN, or whose settings exclude each other,
    fails, and says why in its message. KerasTuner ends a search after
    `max_consecutive_failed_trials` of them, 3 by default.

    Args:
        workload: A `keras_lbreg.Workload`, or a function `build_model()` or
            `build_model(hp)` that returns a new Functional or Sequential model
            with known input shape, compiled as for the small batch; data are
            then given to `search`, as `x`, `y` and `validation_data`.
            Hyperparameters of the function's own are searched too.
        batch_sizes: The large batch sizes, over all devices. Defaults to the
            workload's.
        techniques: Names of techniques to try. Defaults to those of
            `keras_lbreg.techniques.names()` that suit the model, but regime
            adaptation, which trains longer.
        regime: With `build_model`, the `keras_lbreg.Regime` of the small
            batch: its size, learning rates and epochs.
        always: Names of techniques that every trial has.
        learning_rate_factor: Smallest and largest factor on the learning
            rate; `None` for none. Defaults to `(0.25, 4.0)`.
        ranges: Values to try instead of the register's, as
            `{"dreg": {"weight": [0.01, 0.1]}}`.
        seed: Seed of the first execution.
        replicas: Replicas of the tuner's `distribution_strategy`, which the
            hypermodel learns of too late. Defaults to `1`.
        placement: Devices that share every batch, instead of the tuner's
            `distribution_strategy`; see `keras_lbreg.training`.

    Raises:
        ValueError: An argument is invalid, or, when the tuner is made, a
            technique or a value of `ranges` does not suit the model.

    Example:

    >>> hypermodel = keras_lbreg.tuning.LargeBatchHyperModel(
    ...     workload, batch_sizes=[1024, 4096], always=["lr_scaling"]
    ... )
    >>> tuner = keras_tuner.RandomSearch(
    ...     hypermodel, "val_accuracy", max_trials=30, executions_per_trial=2
    ... )
    >>> tuner.search()
    >>> best = hypermodel.export(tuner.get_best_models()[0])

    Reference:

    - [KerasTuner's hypermodels](https://keras.io/api/keras_tuner/hypermodels)
    """

    def __init__(
        self,
        workload,
        batch_sizes=None,
        techniques=None,
        regime=None,
        always=(),
        learning_rate_factor=(0.25, 4.0),
        ranges=None,
        seed=0,
        replicas=1,
        placement=ONE_DEVICE,
    ):
        super().__init__()
        has_data = isinstance(workload, Workload)
        if has_data and regime is not None:
            raise ValueError(
                "Invalid value for argument `regime`. Expected None, since the "
                f"workload has one. Received: regime={regime!r}"
            )
        if not has_data:
            if not isinstance(regime, Regime):
                raise ValueError(
                    "Invalid value for argument `regime`. Expected the "
                    "`keras_lbreg.Regime` of the small batch, such as "
                    "`Regime(128, 0.1, epochs=50)`. Received: "
                    f"regime={regime!r}"
                )
            workload = Workload(workload, no_data, no_data, regime)
        if batch_sizes is None:
            batch_sizes = [workload.batch_size] if workload.batch_size else []
        if placement.replicas > 1:
            replicas = placement.replicas
        self.workload = workload
        self.space = SearchSpace(
            batch_sizes,
            base_batch_size=workload.regime.base_batch_size,
            techniques=techniques,
            always=always,
            learning_rate_factor=learning_rate_factor,
            ranges=ranges,
            replicas=replicas,
        )
        self.seed = seed
        self.placement = placement
        self._has_data = has_data
        self._of_data = (None, workload if has_data else None)
        # Tuners call `clear_session`, which resets it.
        self._dtype_policy = keras.config.dtype_policy()
        # By model, as long as somebody has it.
        self._runs = weakref.WeakKeyDictionary()
        # The hyperparameters of the last execution, and its number. A tuner
        # hands the same object to all executions of a trial.
        self._last = (None, 0)
        # A model of the trial's, compiled, for its next execution.
        self._compiled = None
        # The `Display` of a search.
        self.display = None

    def declare_hyperparameters(self, hp):
        """Registers the whole search space, and looks for mistakes in it."""
        keras.config.set_dtype_policy(self._dtype_policy)
        model = build_plain(self._workload(hp), steps_per_epoch=1)
        self.space = self.space.suited_to(model)
        self.space.check(model, self._samples())
        self.space.declare(hp, model)

    def build(self, hp):
        """The model of a trial, compiled, for its next execution."""
        keras.config.set_dtype_policy(self._dtype_policy)
        last, number = self._last
        number = number + 1 if hp is last else 0
        kind = RunWithoutData if self._of_data[1] is None else Run
        run = kind(
            self._workload(hp),
            self.space.arm(hp.values),
            self.seed + number,
            placement=self._placement(),
        )
        model = run.build()
        self._runs[model] = (run, model.optimizer, number)
        return model

    def fit(
        self,
        hp,
        model,
        x=None,
        y=None,
        sample_weight=None,
        validation_data=None,
        validation_split=0.0,
        callbacks=(),
        verbose=None,
        **kwargs,
    ):
        """Trains a model and says how good the plain network has become.

        Args:
            hp: `keras_tuner.HyperParameters`.
            model: The model that `build` made of them.
            x: Inputs, arrays, or a `tf.data.Dataset` of known cardinality,
                batched or not. Defaults to the workload's data.
            y: Targets.
            sample_weight: Optional weights of the samples.
            validation_data: `(x_val, y_val)`, with weights or without, or a
                `tf.data.Dataset`.
            validation_split: Fraction of the arrays, from their end, to
                validate with instead.
            callbacks: Callbacks, the tuner's among them.
            verbose: The tuner's; nothing is printed here.
            **kwargs: `epochs` and `initial_epoch`, from Hyperband alone.

        Returns:
            Dictionary of metrics.
        """
        tuner, trial, saving, others = tell_apart(callbacks)
        part = part_of_regime(hp, kwargs, tuner)
        run, optimizer, number = self._run_of(model)
        if model.optimizer is not optimizer:
            raise FatalValueError(
                "Invalid value for argument `optimizer` of the tuner. Expected "
                "None, since techniques change the optimizer: let "
                "`build_model` compile with the one that you want. Received: "
                f"{type(model.optimizer).__name__}"
            )
        if run.placement.replicas != self.space.replicas:
            raise FatalValueError(
                "Invalid value for argument `replicas`. Expected the "
                f"{run.placement.replicas} of the tuner's "
                "`distribution_strategy`. Received: "
                f"replicas={self.space.replicas}"
            )
        self._last, compiled = (None, 0), self._compiled
        self._compiled = None
        given = (x, y, sample_weight, validation_data, validation_split)
        self._take_data(given)
        if reason := self.space.infeasible(run.arm, self._samples()):
            raise FailedTrialError(reason)
        trained = model
        if isinstance(run, RunWithoutData):
            run = Run(
                self._workload(hp), run.arm, run.seed, placement=run.placement
            )
            trained = run.build()
            if part[0] > 0:
                # What the tuner has loaded of an earlier trial.
                set_training_state(trained, training_state(model))
        elif compiled is not None:
            set_training_state(compiled, training_state(model))
            trained = compiled
        folder = None
        if tuner is not None:
            folder = pathlib.Path(tuner.get_trial_dir(trial.trial_id))
            folder = folder / f"execution-{number}"
            run.arm = dataclasses.replace(
                run.arm,
                title=f"Trial {trial.trial_id}",
                name=f"trial_{trial.trial_id}",
            )
        metrics = recorded(folder, run, part)
        if metrics is None:
            metrics, seconds = train(
                folder, run, trained, part, others, self.display
            )
            for callback in saving:
                # Once, by the plain network's score: the best execution is
                # kept as it has ended, and Hyperband goes on from there.
                callback.set_model(trained)
                callback.on_epoch_end(run.plan.epoch_at(part[1]) - 1, metrics)
            if folder is not None:
                content = {"seed": run.seed, "seconds": seconds}
                write_json(folder / METRICS, {**content, "metrics": metrics})
                remove_backup(folder)
        else:
            keep_best(saving, metrics)
        if trained is not model:
            set_training_state(model, training_state(trained))
            self._runs[model] = (run, model.optimizer, number)
        if tuner is not None and number + 1 < tuner.executions_per_trial:
            self._last, self._compiled = (hp, number), trained
        return metrics

    def export(self, model):
        """The plain network of a trained model, compiled as yours was.

        Args:
            model: A model that this hypermodel has built, such as
                `tuner.get_best_models()[0]`.

        Returns:
            A new model, without anything of this package in it. Its
            normalization statistics are estimated anew where the hypermodel
            has seen the data.

        Raises:
            ValueError: `model` is another one.
        """
        return self._run_of(model)[0].export(model)

    def _run_of(self, model):
        if model not in self._runs:
            raise FatalValueError(
                "Invalid value for argument `model`. Expected a model that "
                "`build` of this hypermodel has made. Received: "
                f"model={model!r}"
            )
        return self._runs[model]

    def _workload(self, hp):
        """The workload with the hyperparameters of `build_model` in it."""
        workload = self._of_data[1] or self.workload
        if not takes_hp(workload.build_model):
            return workload
        build = functools.partial(workload.build_model, hp)
        return dataclasses.replace(workload, build_model=build)

    def _samples(self):
        """Number of training samples, where it is known."""
        workload = self._of_data[1]
        if workload is None or is_tf_dataset(workload.train_data):
            return None
        if callable(workload.train_data):
            return None
        return len(keras.tree.flatten(workload.train_data)[0])

    def _placement(self):
        """Where the tuner's `distribution_strategy` puts it, or our own."""
        tf = sys.modules.get("tensorflow")
        if self.placement is not ONE_DEVICE or tf is None:
            return self.placement
        if not tf.distribute.has_strategy():
            return self.placement
        handle = tf.distribute.get_strategy()
        return Placement(
            "mirrored",
            handle.num_replicas_in_sync,
            "the tuner's",
            handle=handle,
        )

    def _take_data(self, given):
        """Makes the workload of a `search(...)` call, once."""
        if self._has_data:
            if any(value is not None for value in given[:4]) or given[4]:
                raise FatalValueError(
                    "Invalid value for argument `x`. Expected no data in "
                    "`search`, since the workload has them. Received: some"
                )
            return
        before = self._of_data[0]
        if before is not None and all(
            a is b for a, b in zip(before, given, strict=True)
        ):
            return
        try:
            train, validation = data_of_search(*given)
            workload = dataclasses.replace(
                self.workload, train_data=train, validation_data=validation
            )
            self._of_data = (given, workload)
            self.space.check_batch_sizes(self._samples())
            if not takes_hp(workload.build_model):
                examine(workload)
        except (TypeError, ValueError) as error:
            # No trial's fault: it ends the search.
            self._of_data = (None, None)
            raise FatalValueError(str(error)) from error


class RunWithoutData(Run):
    """What a run is before `search` has been given data: a model, compiled."""

    def __init__(self, workload, arm, seed=0, placement=ONE_DEVICE):
        self.workload = workload
        self.arm = arm
        self.seed = seed
        self.placement = placement
        model = build_plain(workload, steps_per_epoch=1)
        data = NoData(max(arm.batch_size, workload.regime.base_batch_size))
        self.facts = Facts(data, data, model, "val_loss", False, False)
        self.plan = make_plan(workload, self.facts, arm, None, placement)
        self.programs = None
        self._estimated = None

    def export(self, model):
        facts = self.facts
        # There is nothing to estimate statistics on.
        self.facts = WithoutStatistics(**vars(facts))
        try:
            return super().export(model)
        finally:
            self.facts = facts


class WithoutStatistics(Facts):
    normalizes = False


class NoData:
    """Stands for data that are not there yet."""

    def __init__(self, samples):
        self.samples = samples

    def values(self, placement):
        """Nothing to validate on."""

    def check(self, placement):
        """Nothing is known."""


def no_data():
    raise FatalValueError(
        "A search needs data. Expected `tuner.search(x, y, "
        "validation_data=(x_val, y_val))`. Received: none"
    )


def data_of_search(x, y, sample_weight, validation_data, split):
    """Training and validation data as a `Workload` takes them."""
    if x is None or (y is None and not is_tf_dataset(x)):
        # A kind that nobody can cut has its own message.
        if x is not None:
            check_data("x", x)
        raise ValueError(
            "A search needs inputs and targets. Expected "
            "`tuner.search(x, y, validation_data=(x_val, y_val))`. Received: "
            f"`{'x' if x is None else 'y'}=None`"
        )
    if is_tf_dataset(x):
        if y is not None or sample_weight is not None:
            raise ValueError(
                "Invalid value for argument `y`. Expected targets and weights "
                "to be part of the dataset. Received: a `tf.data.Dataset` and "
                "`y` or `sample_weight`"
            )
        train = x
    else:
        given = (x, y) if sample_weight is None else (x, y, sample_weight)
        train = check_data("x", given)
    if split and validation_data is None:
        if is_tf_dataset(train) or not 0 < split < 1:
            raise ValueError(
                "Invalid value for argument `validation_split`. Expected a "
                "fraction between 0 and 1 of arrays. Received: "
                f"validation_split={split}"
            )
        samples = len(keras.tree.flatten(train)[0])
        kept = int(samples * (1 - split))
        validation_data = take_rows(train, slice(kept, None))
        train = take_rows(train, slice(kept))
    if validation_data is None:
        raise ValueError(
            "A search needs validation data, by which the trials are "
            "compared. Expected `validation_data=(x_val, y_val)` or, for "
            "arrays, `validation_split=0.1`. Received: none"
        )
    return train, validation_data


def takes_hp(function):
    """Whether a function has to be called with one argument."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        x.default is x.empty
        and x.kind in (x.POSITIONAL_ONLY, x.POSITIONAL_OR_KEYWORD)
        and x.name != "steps_per_epoch"
        for x in parameters
    )


def tell_apart(callbacks):
    """The tuner, its trial, the callbacks that save, and the others.

    `HyperModel.fit` is told neither which trial it trains nor when weights are
    saved; the callbacks that the tuner adds know both.
    """
    saving, others, tuner, trial = [], [], None, None
    for callback in callbacks:
        if isinstance(callback, SaveBestEpoch):
            saving.append(callback)
            continue
        if isinstance(callback, TunerCallback):
            tuner, trial = callback.tuner, callback.trial
        others.append(callback)
    return tuner, trial, saving, others


def part_of_regime(hp, kwargs, tuner):
    """The fractions of the regime between which to train."""
    oracle = getattr(tuner, "oracle", None)
    # A worker's oracle stands for the chief's.
    oracle = vars(oracle).get("_oracle", oracle) if oracle else None
    max_epochs = getattr(oracle, "max_epochs", None)
    if max_epochs and "tuner/epochs" in hp.values:
        hyperbands = {"initial_epoch", "epochs"}
        kwargs = {k: v for k, v in kwargs.items() if k not in hyperbands}
    if kwargs:
        raise FatalValueError(
            "Invalid arguments of `search`. Batch size, epochs and steps are "
            "part of a trial; expected `x`, `y`, `sample_weight`, "
            "`validation_data`, `validation_split`, `callbacks` and `verbose` "
            f"alone. Received: {sorted(kwargs)}"
        )
    if not max_epochs:
        return 0.0, 1.0
    begin, end = hp.values["tuner/initial_epoch"], hp.values["tuner/epochs"]
    return begin / max_epochs, end / max_epochs


def keep_best(saving, metrics):
    """What was saved for an earlier execution is not written over."""
    for callback in saving:
        value = callback.objective.get_value(metrics)
        if callback.objective.better_than(value, callback.best_value):
            callback.best_value = value


def remove_backup(folder):
    if folder is not None:
        (folder / BACKUP).unlink(missing_ok=True)


def recorded(folder, run, part):
    """The metrics of an execution that has ended, or `None`."""
    if folder is None:
        return None
    plan = {"seed": run.seed, "part": part, **run.plan.describe()}
    plan = json.loads(json.dumps(plan))
    there, ended = folder / PLAN, folder / METRICS
    if there.is_file() and read_json(there) != plan:
        # Of another trial with this name.
        shutil.rmtree(folder)
    if not there.is_file():
        write_json(there, plan)
    return read_json(ended)["metrics"] if ended.is_file() else None


def train(folder, run, model, part, callbacks, display=None):
    """The metrics of an execution's last epoch, and seconds of training."""
    begin, until = part
    on_epoch = None
    if display is not None:
        display.run_started(run)
        on_epoch = display.epoch
    try:
        records = run.fit(
            model,
            folder,
            begin,
            until,
            callbacks,
            on_epoch,
            # The tuner's own callback needs no validation, the user's may.
            final_only=len(callbacks) < 2,
        )
        last = records[-1]
        if reason := failure_of(records):
            raise FailedTrialError(reason)
        metrics = {
            name: value
            for name, value in last.logs.items()
            if not name.startswith("moving_")
        }
        if not math.isfinite(metrics["val_loss"]):
            raise FailedTrialError(f"val_loss became {metrics['val_loss']}")
    except Exception:
        # Tried again, it begins again.
        remove_backup(folder)
        raise
    return metrics, last.time
