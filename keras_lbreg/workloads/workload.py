"""How somebody trains today: a compiled model, its data and its regime."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping

import keras

from keras_lbreg.checks import (
    check_choice,
    check_positive_int,
    invalid,
    is_number,
)
from keras_lbreg.data.hold_out import hold_out_rows
from keras_lbreg.data.samples import (
    check_data,
    is_tf_dataset,
    made,
    take_rows,
)
from keras_lbreg.schedules.regime import Regime
from keras_lbreg.techniques import check_hyperparameters


@dataclasses.dataclass(frozen=True, eq=False)
class Workload:
    """A model, its data, and how it is trained with a small batch.

    It is what `keras_lbreg.compare`, `keras_lbreg.tune` and the `lbreg`
    commands work on: they build the model anew for every run, change batch
    size, learning rate and techniques, and call `fit`.

    Args:
        build_model: Function without arguments that returns a new, compiled
            Functional or Sequential `keras.Model` with known input shapes:
            your layers, loss, metrics and optimizer. The learning rate comes
            from `regime`. If it has a parameter `steps_per_epoch`, it is given
            the number of updates in an epoch of the run.
        train_data: `(x, y)` or `(x, y, sample_weight)` of arrays or structures
            of arrays; a `tf.data.Dataset` of such elements, batched or not, of
            known cardinality; or a function without arguments that returns
            one of these. Arrays are ordered by the run's seed and the epoch.
            A function that makes a dataset is called once an epoch, with
            TensorFlow's seed set from the run's and the epoch, so that
            shuffling and augmentation are reproducible; a dataset that was
            made before has its own order.
        validation_data: Likewise.
        regime: The `keras_lbreg.Regime` of the small batch: its size, learning
            rate by epoch, and epochs. See `Regime.from_model`.
        name: Optional short name, for folders. Defaults to the name of
            `build_model`.
        title: Optional name for tables. Defaults to `name`.
        notes: Optional sentence on where the data come from.
        batch_size: Optional integer, the large batch size to try.
        techniques: Optional settings of techniques that suit this model, such
            as `{"ghost_batch_norm": {"ghost_batch_size": 32}}`.
        augmentation: Optional function `augmentation(x, rng)` of a training
            batch of inputs (arrays) and a `numpy.random.Generator` that is
            seeded by the run's seed and the number of the update.
        objective: Optional name of what arms are judged by, `"val_..."`.
            Defaults to `val_` and the first compiled metric, or `"val_loss"`.
        direction: Optional `"max"` or `"min"`. Defaults to what Keras knows of
            the metric.
        source: Where the workload was loaded from, as the `lbreg` commands
            take it.
        held_out_samples: Training samples that `held_out` set apart; an epoch
            makes as many updates as with them.

    Raises:
        ValueError: An argument is invalid, or the data do not fit each other.
        TypeError: The data are of a kind that has batches of its own.

    Example:

    >>> def build_model():
    ...     model = keras.Sequential(
    ...         [
    ...             keras.Input((4,)),
    ...             keras.layers.Dense(8, activation="relu"),
    ...             keras.layers.Dense(1),
    ...         ]
    ...     )
    ...     model.compile("adam", "mse")
    ...     return model
    >>> x, y = np.random.normal(size=(256, 4)), np.ones((256, 1))
    >>> workload = keras_lbreg.Workload(
    ...     build_model,
    ...     train_data=(x, y),
    ...     validation_data=(x[:64], y[:64]),
    ...     regime=keras_lbreg.Regime(8, 1e-3, epochs=2),
    ... )

    Reference:

    - [Dahl et al., 2023](https://arxiv.org/abs/2306.07179), the workloads of
      MLCommons' AlgoPerf
    """

    build_model: Callable
    train_data: object
    validation_data: object
    regime: Regime
    name: str | None = None
    title: str | None = None
    notes: str = ""
    batch_size: int | None = None
    techniques: Mapping = dataclasses.field(default_factory=dict)
    augmentation: Callable | None = None
    objective: str | None = None
    direction: str | None = None
    source: str | None = None
    held_out_samples: int = 0

    def __post_init__(self):
        is_model = isinstance(self.build_model, keras.Model)
        if is_model or not callable(self.build_model):
            expected = "a function that returns a new, compiled model"
            raise invalid("build_model", expected, self.build_model)
        if not isinstance(self.regime, Regime):
            expected = (
                "the `keras_lbreg.Regime` of the small batch, such as "
                "`Regime(64, 1e-3, epochs=20)`"
            )
            raise invalid("regime", expected, self.regime)
        for argument in ("train_data", "validation_data"):
            data = getattr(self, argument)
            if not callable(data):
                data = check_data(argument, data)
                object.__setattr__(self, argument, data)
        if self.batch_size is not None:
            check_positive_int("batch_size", self.batch_size)
        check_hyperparameters(self.techniques)
        if self.augmentation is not None and not callable(self.augmentation):
            expected = "a function `augmentation(x, rng)`"
            raise invalid("augmentation", expected, self.augmentation)
        if not str(self.objective or "val_").startswith("val_"):
            expected = "the name of a validation metric, 'val_...'"
            raise invalid("objective", expected, self.objective)
        check_choice("direction", self.direction, ("max", "min", None))
        name = str(self.name or function_name(self.build_model))
        if not re.fullmatch(r"[\w.+-]+", name):
            expected = (
                "letters, digits and the signs _ . + -, since folders are "
                "named after it"
            )
            raise invalid("name", expected, self.name)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "title", self.title or name)

    def with_epochs(self, epochs):
        """The same workload over another number of epochs.

        Args:
            epochs: Positive integer. Milestones keep their fraction of the
                run, see `Regime.with_epochs`.

        Returns:
            A `Workload`.
        """
        regime = self.regime.with_epochs(epochs)
        return dataclasses.replace(self, regime=regime)

    def with_small_batch(self, batch_size):
        """The same workload with another small batch, at the same rates.

        Args:
            batch_size: Positive integer.

        Returns:
            A `Workload`.
        """
        regime = dataclasses.replace(self.regime, base_batch_size=batch_size)
        return dataclasses.replace(self, regime=regime)

    def held_out(self, fraction, seed=0):
        """The workload that validates on a part of its training data.

        What is chosen by it has not seen the validation data.

        Args:
            fraction: Float in `(0, 1)`, the share of the training data that is
                set apart; of every class alike where there are classes.
            seed: Integer, of the choice of the samples. Defaults to `0`.

        Returns:
            A `Workload`.

        Raises:
            ValueError: No sample, or none but these, would be set apart, or
                the data are a `tf.data.Dataset`.
        """
        if not (is_number(fraction) and 0 < fraction < 1):
            expected = "a share of the training data between 0 and 1"
            raise invalid("fraction", expected, fraction)
        data = made("train_data", self.train_data)
        if is_tf_dataset(data):
            raise ValueError(
                "Training data cannot be set apart from a `tf.data.Dataset`, "
                "whose elements a shuffle mixes anew in every epoch. Expected "
                "arrays, or `holdout=0` with a `Workload` whose "
                "`validation_data` are a part of the training data already."
            )
        kept, held = hold_out_rows(data[1], fraction, seed)
        return dataclasses.replace(
            self,
            train_data=take_rows(data, kept),
            validation_data=take_rows(data, held),
            held_out_samples=self.held_out_samples + len(held),
        )


def function_name(function):
    """A function's name, without what says nothing."""
    name = getattr(function, "__name__", type(function).__name__)
    name = re.sub(r"^(build|make|get|create)_(?=.)", "", name)
    return re.sub(r"\W", "", name) or "workload"


def takes_steps(function):
    """Whether `build_model` wants the number of updates in an epoch."""
    try:
        return "steps_per_epoch" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
