"""A KerasTuner hypermodel: a workload, trained with large batches."""

import contextlib
import dataclasses
import functools
import hashlib
import inspect
import json
import pathlib
import shutil
import tempfile
import weakref

import keras
import keras_tuner
from keras_tuner.errors import FailedTrialError, FatalValueError
from keras_tuner.src.engine.tuner_utils import SaveBestEpoch, TunerCallback

from keras_lbreg.callbacks.multi_worker_backup import (
    set_training_state,
    training_state,
)
from keras_lbreg.data.samples import is_tf_dataset
from keras_lbreg.models._keras_trainer import fresh_automatic_names
from keras_lbreg.training.arm import Arm, make_plan
from keras_lbreg.training.display import Display
from keras_lbreg.training.examine import Facts, build_plain, examine
from keras_lbreg.training.placement import choose_strategy
from keras_lbreg.training.run import Run
from keras_lbreg.tuning.space import make_space
from keras_lbreg.workloads import Workload


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
    One whose loss becomes NaN, or whose settings exclude each other, fails,
    and says why in its message.

    Neither the tuner nor `search` is given batch size, epochs, optimizer, loss
    or devices. Hyperband alone has epochs, which are those of the regime
    (`max_epochs=regime.epochs`): a trial stops after some of them, and goes on
    from there, optimizer included.

    Args:
        workload: A `keras_lbreg.Workload`, or a function `build_model()` that
            returns a new model, compiled as for the small batch; data are then
            given to `search`. If `build_model` has a parameter `hp`, the
            hyperparameters it asks for are searched too.
        batch_sizes: The large batch size, over all devices, or a list of some
            to try. Defaults to the workload's.
        techniques: Names of techniques to try on and off. Defaults to all that
            suit the model, but regime adaptation, which trains longer.
        regime: The `keras_lbreg.Regime` of the small batch: its size, learning
            rates and epochs. Defaults to the workload's.
        always: Names of techniques that every trial has.
        learning_rate_factor: Smallest and largest factor on the learning
            rate, or `None`. Without it, what a technique gains by changing the
            size of the gradient looks like merit.
        ranges: Values to try instead of a technique's own, as
            `{"dreg": {"weight": [0.01, 0.1]}}`: a
            `keras_lbreg.techniques.SearchRange`, a list, or one value. Layers
            are named as in a process that has built no other model.
        seed: Seed of the first execution.
        strategy: Devices that share every batch, as in `keras_lbreg.compare`.
        devices: Number of devices. Defaults to all.

    Raises:
        ValueError: An argument is invalid, or does not suit the model.

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
        strategy="one",
        devices=None,
    ):
        super().__init__()
        self.placement = choose_strategy(strategy, devices)
        if self.placement.workers > 1:
            raise ValueError(
                "Invalid value for argument `strategy`. Expected one of this "
                "machine's devices; several machines run trials of their own. "
                f"Received: strategy={strategy!r}"
            )
        if not isinstance(workload, Workload):
            workload = Workload(workload, NoData(), NoData(), regime)
        elif regime is not None:
            workload = dataclasses.replace(workload, regime=regime)
        self.workload = workload
        self.seed = seed
        self.display = Display(quiet=True)
        # Tuners call `clear_session`, which resets it.
        self._dtype_policy = keras.config.dtype_policy()
        self._needs_data = isinstance(workload.train_data, NoData)
        self._given = None
        # The run of a model, as long as somebody has it.
        self._runs = weakref.WeakKeyDictionary()
        # What saves the weights of a trial, the number of its execution, and
        # models that are compiled already.
        self._saving, self._execution, self._programs = None, 0, {}
        bound = self._bound(keras_tuner.HyperParameters())
        if self._needs_data:
            data, model = workload.train_data, build_afresh(bound)
            self.facts = NoFacts(data, data, model, "val_loss", False, False)
        else:
            self.facts = examine(bound)
        self.space = make_space(
            self.facts.model,
            workload.regime.base_batch_size,
            workload.batch_size if batch_sizes is None else batch_sizes,
            techniques,
            always,
            learning_rate_factor,
            ranges,
            self.placement.replicas,
        )
        self._check(workload, self.facts)

    def _check(self, workload, facts):
        """Raises where a batch size, or a value in `ranges`, cannot be."""
        for size in self.space.batch_sizes:
            make_plan(workload, facts, Arm("Plain"), size, self.placement)
        for arm in self.space.samples():
            make_plan(workload, facts, arm, placement=self.placement)

    def _bound(self, hp):
        """The workload, with hyperparameters of the user's own in it."""
        build_model = self.workload.build_model
        if "hp" not in inspect.signature(build_model).parameters:
            return self.workload
        return dataclasses.replace(
            self.workload, build_model=functools.partial(build_model, hp=hp)
        )

    def _run(self, hp, execution=0):
        """The run of a trial's execution of this number."""
        workload, facts = self._bound(hp), self.facts
        if workload is not self.workload:
            facts = dataclasses.replace(facts, model=build_afresh(workload))
        return Run(
            workload,
            self.space.arm(hp.values),
            self.seed + execution,
            placement=self.placement,
            programs=self._programs,
            facts=facts,
        )

    def declare_hyperparameters(self, hp):
        """Registers the whole search space."""
        self.space.declare(hp)

    def build(self, hp):
        """The model of a trial, compiled."""
        keras.config.set_dtype_policy(self._dtype_policy)
        run = self._run(hp)
        model = run.build()
        self._runs[model] = run
        return model

    def fit(
        self,
        hp,
        model,
        x=None,
        y=None,
        sample_weight=None,
        validation_data=None,
        callbacks=(),
        **kwargs,
    ):
        """Trains a model and says how good the plain network has become.

        Args:
            hp: `keras_tuner.HyperParameters`.
            model: The model that `build` made of them.
            x, y, sample_weight, validation_data: As a `keras_lbreg.Workload`
                takes them. Default to the workload's.
            callbacks: Callbacks, the tuner's among them.
            **kwargs: `verbose` (nothing is printed here), and Hyperband's
                `epochs` and `initial_epoch`.

        Returns:
            Dictionary of metrics.
        """
        tuner, trial, saving, others = tell_apart(callbacks)
        part = part_of_regime(hp, kwargs, self.workload, tuner)
        self._run_of(model)
        self._take_data(hp, x, y, sample_weight, validation_data)
        if saving is not None and saving is self._saving:
            self._execution += 1
        else:
            self._saving, self._execution, self._programs = saving, 0, {}
        run = self._runs[model] = self._run(hp, self._execution)
        if reason := infeasible(run.plan):
            raise FailedTrialError(reason)

        def keep(trained, record):
            # Once, by the plain network's score: the best execution is saved
            # as it has ended, and Hyperband goes on from there.
            set_training_state(model, training_state(trained))
            if saving is not None:
                saving.set_model(model)
                saving.on_epoch_end(0, record.logs)

        with contextlib.ExitStack() as stack:
            if tuner is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory())
            else:
                folder = tuner.get_trial_dir(trial.trial_id)
                title = f"Trial {trial.trial_id}"
                run.arm = dataclasses.replace(run.arm, title=title)
            own_arm(run, part, pathlib.Path(folder, "runs"))
            result = run.train(
                folder,
                self.display,
                begin=part[0],
                until=part[1],
                # What the tuner has loaded of an earlier trial.
                state=training_state(model) if part[0] > 0 else None,
                callbacks=others,
                # The tuner's own callback needs no validation.
                final_only=len(others) < 2,
                on_end=keep,
            )
        if result.status != "finished":
            raise FailedTrialError(result.reason)
        metrics = {
            name: value
            for name, value in result.epochs[-1].logs.items()
            if not name.startswith("moving_")
        }
        if saving is not None:
            # What is saved of it is not written over by a worse one.
            value = saving.objective.get_value(metrics)
            if saving.objective.better_than(value, saving.best_value):
                saving.best_value = value
        return metrics

    def export(self, model):
        """The plain network of a trained model, compiled as yours was.

        Args:
            model: A model that this hypermodel has built, such as
                `tuner.get_best_models()[0]`.

        Returns:
            A new model, without anything of this package in it, with
            normalization statistics estimated anew where data are known.

        Raises:
            ValueError: `model` is another one.
        """
        return self._run_of(model).export(model)

    def _run_of(self, model):
        if model not in self._runs:
            raise FatalValueError(
                "Invalid value for argument `model`. Expected a model that "
                "`build` of this hypermodel has made. Received: "
                f"model={model!r}"
            )
        return self._runs[model]

    def _take_data(self, hp, *given):
        """Makes the workload of a `search(...)` call, once."""
        if not self._needs_data:
            if any(value is not None for value in given):
                raise FatalValueError(
                    "Invalid value for argument `x`. Expected no data in "
                    "`search`, since the workload has them. Received: some"
                )
            return
        if self._given is not None and all(
            old is new for old, new in zip(self._given, given, strict=True)
        ):
            return
        x, y, sample_weight, validation_data = given
        alone = is_tf_dataset(x) and y is None and sample_weight is None
        before = self.workload
        try:
            self.workload = dataclasses.replace(
                before,
                train_data=x if alone else (x, y, sample_weight),
                validation_data=validation_data,
            )
            facts = examine(self._bound(hp))
            self._check(self.workload, facts)
        except (TypeError, ValueError) as error:
            # No trial's fault: it ends the search.
            self.workload = before
            raise FatalValueError(str(error)) from error
        self.facts, self._given = facts, given


class NoData:
    """Stands for data that `search` has not been given yet."""

    # More than any batch.
    samples = 2**20

    def __call__(self):
        raise FatalValueError("Expected data in `search`. Received: none")

    def values(self, placement):
        """Nothing to validate on."""

    def check(self, placement):
        """Nothing is known."""


class NoFacts(Facts):
    """Facts without data to estimate statistics on."""

    normalizes = False


def build_afresh(workload):
    """The plain model, its layers named as if there had been no other."""
    with fresh_automatic_names():
        return build_plain(workload, steps_per_epoch=1)


def tell_apart(callbacks):
    """The tuner, its trial, the callback that saves, and the others.

    `HyperModel.fit` is told neither which trial it trains nor when weights are
    saved; the callbacks that the tuner adds know both.
    """
    tuner = trial = saving = None
    others = []
    for callback in callbacks:
        if isinstance(callback, SaveBestEpoch):
            saving = callback
            continue
        others.append(callback)
        if isinstance(callback, TunerCallback):
            tuner, trial = callback.tuner, callback.trial
    return tuner, trial, saving, others


def part_of_regime(hp, arguments, workload, tuner):
    """The fractions of the regime between which to train."""
    epochs = workload.regime.epochs
    wrong = {
        name: value
        for name, value in arguments.items()
        if name != "verbose" and hp.values.get(f"tuner/{name}") != value
    }
    for name in ("optimizer", "loss", "metrics", "distribution_strategy"):
        if value := getattr(tuner, name, None):
            wrong[name] = value
    if tuner is not None:
        # A worker's oracle stands for the chief's.
        oracle = vars(tuner.oracle).get("_oracle", tuner.oracle)
        if getattr(oracle, "max_epochs", epochs) != epochs:
            wrong["max_epochs"] = oracle.max_epochs
    if wrong:
        raise FatalValueError(
            "Invalid arguments of `search` or the tuner. Expected the model as "
            "it is compiled, batch size and epochs as a trial has them, the "
            f"hypermodel's devices, and of Hyperband `max_epochs={epochs}`, "
            f"as in the regime. Received: {wrong}"
        )
    begin = hp.values.get("tuner/initial_epoch", 0)
    return begin / epochs, hp.values.get("tuner/epochs", epochs) / epochs


def infeasible(plan):
    """Why the settings of a plan exclude each other, or `None`."""
    own = plan.batch_size // plan.placement.replicas
    most = {"ghost_batch_size": own, "groups": plan.batch_size}
    for name, settings in plan.techniques.items():
        for key in most.keys() & settings.keys():
            if settings[key] > most[key]:
                return (
                    f"{name}.{key} is {settings[key]}, of {most[key]} samples"
                )
    return None


def own_arm(run, part, folder):
    """Names a run after its plan, and deletes those of other plans.

    Where KerasTuner has lost a trial, another one may have its number.
    """
    plan = json.dumps([run.plan.describe(), part], sort_keys=True)
    name = f"run_{hashlib.sha256(plan.encode()).hexdigest()[:8]}"
    run.arm = dataclasses.replace(run.arm, name=name)
    for other in folder.glob("run_*"):
        if other.name != name:
            shutil.rmtree(other)
