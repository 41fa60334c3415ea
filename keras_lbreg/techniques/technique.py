"""What a technique is, to experiments, command line, tests and docs."""

import dataclasses
import numbers
from collections.abc import Callable, Mapping


@dataclasses.dataclass(frozen=True)
class Context:
    """What a technique may know about the run it takes part in.

    Args:
        seed: Seed of the run.
        base_batch_size: The small batch, which the recipe was made for.
        batch_size: Batch size of the run.
        initial_step: Updates already done when data begins to flow; not 0
            where a run is resumed.
        dreg_layer: The layer DReg duplicates, see `keras_lbreg.apply_dreg`.
        validation_data: The tuple `(x_val, y_val)`.
        replicas: Replicas whose gradients the optimizer is given one by one:
            more than 1 under a `tf.distribute` strategy alone.

    Example:

    >>> Context(seed=0, base_batch_size=16, batch_size=512)

    Reference: the hooks of `Technique` receive it.
    """

    seed: int
    base_batch_size: int
    batch_size: int
    initial_step: int = 0
    dreg_layer: str | int = "last_conv"
    validation_data: tuple | None = None
    replicas: int = 1


@dataclasses.dataclass(frozen=True)
class SearchRange:
    """Values a tuner may try for one hyperparameter.

    Args:
        low: Smallest value; with `high`, an integer for a range of integers.
        high: Largest value.
        log: Whether to sample the logarithm uniformly.
        choices: The values themselves, instead of a range: a tuple, or a
            function `choices(model, ctx)` of the plain model and the `Context`
            of a run that returns one.

    Raises:
        ValueError: There is neither a range nor a choice, or the range is
            empty or has no logarithm.

    Example:

    >>> SearchRange(1e-3, 1.0, log=True)
    >>> SearchRange(choices=("sqrt", "linear"))

    Reference: `keras_tuner.HyperParameters` has the same kinds.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple | Callable | None = None

    def __post_init__(self):
        if self.choices is not None:
            valid = callable(self.choices) or len(self.choices) > 0
            valid = valid and self.low is None and self.high is None
        else:
            valid = is_number(self.low) and is_number(self.high)
            valid = valid and self.low < self.high
            valid = valid and (self.low > 0 or not self.log)
        if not valid:
            raise ValueError(
                "Invalid search range. Expected `choices`, or numbers `low` < "
                "`high`, positive where `log` is true. Received: "
                f"low={self.low!r}, high={self.high!r}, log={self.log!r}, "
                f"choices={self.choices!r}"
            )


def is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


@dataclasses.dataclass(frozen=True)
class Technique:
    """One technique against the large-batch gap.

    A technique changes a run through its hooks, each of which is optional.
    Experiments call the hooks of all techniques of an arm in one order:
    `regime`, `model`, `optimizer`, `data`, `callbacks`, and `finalize` on the
    trained model. A hook receives the technique's hyperparameters `hp` as a
    dictionary and the run's `Context`.

    Args:
        name: The name by which it is asked for, in snake_case.
        title: The name people use.
        symbol: Short label for tables and arm titles, such as `"GBN"`.
        paper: Where it comes from, with a link.
        card: Stem of its method card in `docs/methods/`.
        public_names: The names of `keras_lbreg` that implement it.
        defaults: Every hyperparameter and its default.
        search_space: A `SearchRange` by hyperparameter.
        helps_when: One sentence for the README.
        regime: `regime(regime, hp, ctx)` returns the changed `Regime`.
        model: `model(model, hp, ctx)` returns the changed model.
        optimizer: `optimizer(optimizer, hp, ctx)` returns the wrapped
            optimizer.
        data: `data(batches, hp, ctx)` returns the changed batches. A batch is
            `(numbers, labels)` or `(numbers, labels, sample_weight)`, with the
            numbers of the samples in the dataset in place of the samples.
        note: `note(hp, ctx)` returns what the printed plan says beside the
            hyperparameters, or `""`.
        callbacks: `callbacks(hp, ctx)` returns a list of callbacks.
        finalize: `finalize(model)` returns the plain trained model.
        alternative_to: Name of the technique whose place it takes; the arm
            with everything holds only the first of them.

    Raises:
        ValueError: `search_space` names no hyperparameter of `defaults`.

    Example:

    >>> get("ghost_batch_norm").defaults
    {'ghost_batch_size': 128, 'statistics': 'sequential'}

    Reference: `keras_lbreg.techniques.register` lists all of them.
    """

    name: str
    title: str
    symbol: str
    paper: str
    card: str
    public_names: tuple
    defaults: Mapping
    search_space: Mapping
    helps_when: str
    regime: Callable | None = None
    model: Callable | None = None
    optimizer: Callable | None = None
    data: Callable | None = None
    callbacks: Callable | None = None
    finalize: Callable | None = None
    note: Callable | None = None
    alternative_to: str | None = None

    def __post_init__(self):
        unknown = set(self.search_space) - set(self.defaults)
        if unknown:
            raise ValueError(
                "Invalid value for argument `search_space`. Expected ranges "
                f"of hyperparameters in {sorted(self.defaults)}. Received: "
                f"search_space with {sorted(unknown)}"
            )

    def hyperparameters(self, overrides=None):
        """The defaults with `overrides` in their place.

        Raises:
            ValueError: `overrides` names an unknown hyperparameter.
        """
        overrides = dict(overrides or {})
        unknown = sorted(set(overrides) - set(self.defaults))
        if unknown:
            raise ValueError(
                f"Invalid hyperparameter of technique {self.name!r}. Expected "
                f"one of {sorted(self.defaults)}. Received: {unknown}"
            )
        return {**self.defaults, **overrides}
