"""A KerasTuner hypermodel: the user's network, trained with large batches."""

import inspect
import math
import weakref

import keras
import keras_tuner
from keras_tuner.errors import FailedTrialError, FatalValueError

from keras_lbreg.models.layer_search import (
    check_graph_model,
    check_shapes_are_known,
)
from keras_lbreg.schedules import Regime
from keras_lbreg.tuning.execution import Execution
from keras_lbreg.tuning.fit_data import read_data
from keras_lbreg.tuning.keras_tuner_hooks import tell_apart
from keras_lbreg.tuning.recorded_executions import record_execution
from keras_lbreg.tuning.search_space import SearchSpace
from keras_lbreg.tuning.stop_at_non_finite_loss import StopAtNonFiniteLoss
from keras_lbreg.tuning.validation_data import ValidationData


class LargeBatchHyperModel(keras_tuner.HyperModel):
    """Searches for what makes a model of yours train well with large batches.

    Any tuner of KerasTuner takes it. A trial has a batch size, a factor on
    the learning rate, and techniques with their hyperparameters (see
    `SearchSpace`). It trains your model by the small batch's regime at that
    batch size,

    ```
    learning rate = factor * (regime, scaled as `lr_scaling` says)
    epochs        = regime.epochs, stretched under `regime_adaptation`
    updates       = epochs * floor(samples / batch size)
    ```

    and its score is that of the plain network, without anything that a
    technique added for training: the final `val_...` metrics, `val_loss` being
    the loss you compiled, without DReg's penalty.

    Execution `k` of every trial has seed `seed + k`, for weights and for the
    order of the samples: trials are compared on equal seeds, and the same
    search gives the same scores on one machine. `keras.utils.set_random_seed`
    is called whenever a model is built. See `trial_statistics` for the spread
    over the executions.

    Batch size and epochs are part of a trial: `batch_size`, `epochs` and
    `steps_per_epoch` are no arguments of `search` here. Hyperband's `epochs`
    are fractions of the regime: a trial that gets `max_epochs / 3` of them
    stops after the first third, and goes on from there, optimizer included.

    A trial whose loss becomes NaN, or whose settings exclude each other,
    fails, and says why in its message. KerasTuner ends a search after
    `max_consecutive_failed_trials` of them, 3 by default.

    Args:
        build_model: Function `build_model()` or `build_model(hp)` that returns
            a new Functional or Sequential model with known input shape,
            compiled as for the small batch. The learning rate comes from
            `regime`. Hyperparameters of its own are searched too.
        batch_sizes: The large batch sizes, over all devices.
        techniques: Names of techniques to try. Defaults to all of
            `keras_lbreg.techniques.names()` but regime adaptation, which
            trains longer.
        regime: The `keras_lbreg.Regime` of the small batch: its size, learning
            rates and epochs.
        always: Names of techniques that every trial has.
        learning_rate_factor: Smallest and largest factor; `None` for none.
        ranges: Values to try instead of the register's, as
            `{"dreg": {"weight": [0.01, 0.1]}}`.
        seed: Seed of the first execution.
        replicas: Replicas of the tuner's `distribution_strategy`, of which the
            hypermodel is told too late. Defaults to `1`.

    Raises:
        ValueError: An argument is invalid, or, when the tuner is made, a
            technique or a value of `ranges` does not suit the model.

    Example:

    >>> hypermodel = keras_lbreg.tuning.LargeBatchHyperModel(
    ...     build_model,
    ...     batch_sizes=[1024, 4096],
    ...     techniques=["lr_scaling", "ghost_batch_norm", "dreg"],
    ...     regime=keras_lbreg.Regime(128, 0.1, epochs=50),
    ... )
    >>> tuner = keras_tuner.RandomSearch(
    ...     hypermodel, "val_accuracy", max_trials=30, executions_per_trial=2
    ... )
    >>> tuner.search(x, y, validation_data=(x_val, y_val))
    >>> best = hypermodel.export(tuner.get_best_models()[0])

    Reference: https://keras.io/api/keras_tuner/hypermodels
    """

    def __init__(
        self,
        build_model,
        batch_sizes,
        techniques=None,
        regime=None,
        always=(),
        learning_rate_factor=(0.25, 4.0),
        ranges=None,
        seed=0,
        replicas=1,
    ):
        super().__init__()
        if not callable(build_model):
            raise ValueError(
                "Invalid value for argument `build_model`. Expected a function "
                "that returns a compiled model. Received: "
                f"build_model={build_model!r}"
            )
        if not isinstance(regime, Regime):
            raise ValueError(
                "Invalid value for argument `regime`. Expected the "
                "`keras_lbreg.Regime` of the small batch, from which learning "
                "rates and epochs of the large ones are made, such as "
                "`Regime(128, 0.1, epochs=50)`. Received: "
                f"regime={regime!r}"
            )
        self.space = SearchSpace(
            batch_sizes,
            base_batch_size=regime.base_batch_size,
            techniques=techniques,
            always=always,
            learning_rate_factor=learning_rate_factor,
            ranges=ranges or {},
            replicas=replicas,
        )
        self.build_model = build_model
        self.batch_sizes = self.space.batch_sizes
        self.techniques = self.space.techniques
        self.regime = regime
        self.always = self.space.always
        self.learning_rate_factor = learning_rate_factor
        self.ranges = self.space.ranges
        self.seed = seed
        self.replicas = replicas
        # Tuners call `clear_session`, which forgets it.
        self._dtype_policy = keras.config.dtype_policy()
        # By model, as long as somebody has it.
        self._executions = weakref.WeakKeyDictionary()
        # The hyperparameters of the last execution, and its number. A tuner
        # hands the same object to all executions of a trial.
        self._last = (None, 0)

    def declare_hyperparameters(self, hp):
        """Registers the whole search space, and looks for mistakes in it."""
        model = self._build_plain(hp)
        self.space.check(model)
        self.space.declare(hp, model)

    def build(self, hp):
        """The model of a trial, compiled, for its next execution."""
        last, number = self._last
        number = number + 1 if hp is last else 0
        execution = Execution(
            self.space.configuration(hp.values),
            self.regime,
            self.seed + number,
            number,
            self.replicas,
        )
        keras.utils.set_random_seed(execution.seed)
        model = execution.build(self._build_plain(hp))
        self._executions[model] = execution
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
        validation_batch_size=None,
        callbacks=(),
        verbose="auto",
        **kwargs,
    ):
        """Trains a model and says how good the plain network has become.

        Args:
            hp: `keras_tuner.HyperParameters`.
            model: The model that `build` made of them.
            x: Inputs, arrays, or a `tf.data.Dataset` of known cardinality,
                batched or not.
            y: Targets.
            sample_weight: Optional weights of the samples.
            validation_data: `(x_val, y_val)`, with weights or without, or a
                `tf.data.Dataset`.
            validation_split: Fraction of the arrays, from their end, to
                validate with instead.
            validation_batch_size: Samples to evaluate at once.
            callbacks: Callbacks, the tuner's among them.
            verbose: As in `keras.Model.fit`.
            **kwargs: `epochs` and `initial_epoch`, from Hyperband alone.

        Returns:
            Dictionary of metrics.
        """
        execution = self._execution_of(model)
        tuner = tell_apart(callbacks)
        part = part_of_regime(hp, kwargs, tuner.max_epochs)
        self._last = (None, 0)
        self._check_replicas(model)
        rank = len(model.inputs[0].shape)
        data = read_data(x, y, sample_weight, rank=rank)
        if validation_split and validation_data is None:
            data, validation_data = data.split(validation_split)
        validation = ValidationData(
            validation_data, rank, validation_batch_size, self.replicas
        )
        self._check_feasible(execution.configuration, data.samples)
        if verbose:
            print(execution.regime.summary())

        watch = StopAtNonFiniteLoss()
        history = execution.fit(
            model, data, validation, part, [*tuner.others, watch], verbose
        )
        if watch.reason:
            raise FailedTrialError(watch.reason)
        metrics = execution.evaluate(model, validation)
        if not math.isfinite(metrics["val_loss"]):
            raise FailedTrialError(f"val_loss became {metrics['val_loss']}")
        for name, values in history.history.items():
            if not name.startswith("val_"):
                metrics[name] = float(values[-1])
        for saving in tuner.saving:
            # Once, by the plain network's score: the best execution is kept
            # as it has ended, and Hyperband goes on from there.
            saving.set_model(model)
            saving.on_epoch_end(execution.epochs_at(part[1]) - 1, metrics)
        if tuner.folder is not None:
            record_execution(
                tuner.folder, execution.number, execution.seed, metrics
            )
        self._last = (hp, execution.number)
        return metrics

    def export(self, model):
        """The plain network of a trained model, compiled as yours was.

        Args:
            model: A model that this hypermodel has built, such as
                `tuner.get_best_models()[0]`.

        Returns:
            A new model, without anything of this package in it.

        Raises:
            ValueError: `model` is another one.
        """
        return self._execution_of(model).export(model)

    def _execution_of(self, model):
        if model not in self._executions:
            raise FatalValueError(
                "Invalid value for argument `model`. Expected a model that "
                "`build` of this hypermodel has made. Received: "
                f"model={model!r}"
            )
        return self._executions[model]

    def _build_plain(self, hp):
        keras.config.set_dtype_policy(self._dtype_policy)
        model = self.build_model(*([hp] if takes_hp(self.build_model) else []))
        check_graph_model(model, "Build it of layers.")
        check_shapes_are_known(model)
        if not model.compiled:
            raise ValueError(
                "Invalid value for argument `build_model`. Expected a function "
                "that returns a compiled model. Received: a model that is not "
                "compiled"
            )
        return model

    def _check_replicas(self, model):
        strategy = getattr(model, "distribute_strategy", None)
        replicas = 1 if strategy is None else strategy.num_replicas_in_sync
        if replicas != self.replicas:
            raise FatalValueError(
                "Invalid value for argument `replicas`. Expected the "
                f"{replicas} of the tuner's `distribution_strategy`. "
                f"Received: replicas={self.replicas}"
            )

    def _check_feasible(self, configuration, samples):
        try:
            self.space.check_batch_sizes(samples)
        except ValueError as error:
            # No trial's fault: it ends the search.
            raise FatalValueError(str(error)) from error
        if reason := self.space.infeasible(configuration, samples):
            raise FailedTrialError(reason)


def takes_hp(function):
    """Whether a function has to be called with one argument."""
    parameters = inspect.signature(function).parameters.values()
    return any(
        x.default is x.empty
        and x.kind in (x.POSITIONAL_ONLY, x.POSITIONAL_OR_KEYWORD)
        for x in parameters
    )


def part_of_regime(hp, kwargs, max_epochs):
    """The fractions of the regime between which to train.

    Args:
        hp: `keras_tuner.HyperParameters`.
        kwargs: Arguments of `fit` that are not its own: those that Hyperband
            adds, `epochs` and `initial_epoch`.
        max_epochs: Epochs of Hyperband's longest trial, or `None`.
    """
    if max_epochs and "tuner/epochs" in hp.values:
        hyperbands = {"initial_epoch", "epochs"}
        kwargs = {k: v for k, v in kwargs.items() if k not in hyperbands}
    if kwargs:
        raise FatalValueError(
            "Invalid arguments of `search`. Batch size, epochs and steps are "
            "part of a trial; expected `x`, `y`, `sample_weight`, "
            "`validation_data`, `validation_split`, `validation_batch_size`, "
            f"`callbacks` and `verbose` alone. Received: {sorted(kwargs)}"
        )
    if not max_epochs:
        return 0.0, 1.0
    begin, end = hp.values["tuner/initial_epoch"], hp.values["tuner/epochs"]
    return begin / max_epochs, end / max_epochs
