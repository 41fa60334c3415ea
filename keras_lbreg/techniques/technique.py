"""What a technique is, to training, tuning, command line and docs."""

import dataclasses
from collections.abc import Callable, Mapping
from numbers import Real

from keras_lbreg.checks import check_positive_int, invalid, is_number


@dataclasses.dataclass(frozen=True)
class Context:
    """What a technique may know about the run it takes part in.

    Args:
        seed: Seed of the run.
        base_batch_size: The small batch, which the regime was made for.
        batch_size: Batch size of the run.
        initial_step: Updates already done when data begins to flow; not 0
            where a run is resumed. Defaults to `0`.
        validation_data: What `fit` takes as `validation_data`. Defaults to
            `None`.
        replicas: Replicas whose gradients the optimizer is given one by one:
            more than 1 under a `tf.distribute` strategy alone. Defaults to
            `1`.

    Example:

    >>> Context(seed=0, base_batch_size=16, batch_size=512)
    """

    seed: int
    base_batch_size: int
    batch_size: int
    initial_step: int = 0
    validation_data: object | None = None
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
                f"`high`, positive where `log` is true. Received: {self}"
            )


@dataclasses.dataclass(frozen=True)
class Technique:
    """One technique against the large-batch gap.

    A technique changes a run through its hooks, each of which is optional. A
    run calls the hooks of all its techniques in one order: `regime`, `model`,
    `optimizer`, `data`, `callbacks`, and `finalize` on the trained model. A
    hook receives the technique's hyperparameters `hp` as a dictionary and the
    run's `Context`.

    Args:
        name: The name by which it is asked for, in snake_case.
        title: The name people use.
        symbol: Short label for tables and arm titles, such as `"GBN"`.
        paper: Where it comes from, with a link.
        card: Stem of its method card in `docs/methods/`.
        helps_when: When it may help, in a few words.
        does: What it does to a run, in a few words.
        defaults: Every hyperparameter and its default. Defaults to none.
        search_space: A `SearchRange` by hyperparameter.
        regime: `regime(hp, ctx)` returns arguments of `Regime.scaled`.
        model: `model(model, hp, ctx)` returns the changed model.
        optimizer: `optimizer(optimizer, hp, ctx)` returns the wrapped
            optimizer.
        data: `data(batches, hp, ctx)` returns the changed batches, an iterable
            of `(x, y)` or `(x, y, sample_weight)`.
        callbacks: `callbacks(hp, ctx)` returns a list of callbacks.
        finalize: `finalize(model)` returns the plain trained model.
        note: `note(hp, ctx)` returns what the printed plan says beside the
            hyperparameters, or `""`.
        code: `code(model, hp, ctx)` returns the lines that do it in a
            script, by what they make: `"model"`, `"optimizer"`, `"data"` or
            `"callback"`, and `"after"` training.
        unfit: `unfit(model, ctx)` returns one sentence on why the technique
            can do nothing for this plain model, or `""`.
        alternative_to: Name of the technique whose place it takes; the arm
            with everything holds only the first of them.

    Raises:
        ValueError: `search_space` names no hyperparameter of `defaults`.

    Example:

    >>> get("ghost_batch_norm").defaults
    {'ghost_batch_size': 128, 'statistics': 'sequential'}
    """

    name: str
    title: str
    symbol: str
    paper: str
    card: str
    helps_when: str
    does: str
    defaults: Mapping = dataclasses.field(default_factory=dict)
    search_space: Mapping = dataclasses.field(default_factory=dict)
    regime: Callable | None = None
    model: Callable | None = None
    optimizer: Callable | None = None
    data: Callable | None = None
    callbacks: Callable | None = None
    finalize: Callable | None = None
    note: Callable | None = None
    code: Callable | None = None
    unfit: Callable | None = None
    alternative_to: str | None = None
    rate_range: tuple | None = None

    def __post_init__(self):
        unknown = sorted(self.search_space.keys() - self.defaults.keys())
        if unknown:
            expected = f"ranges of hyperparameters in {sorted(self.defaults)}"
            raise invalid("search_space", expected, unknown)

    def hyperparameters(self, overrides=None):
        """The defaults with `overrides` in their place."""
        overrides = overrides or {}
        unknown = sorted(overrides.keys() - self.defaults.keys())
        if unknown:
            known = sorted(self.defaults)
            expected = f"Expected one of {known}." if known else "It has none."
            raise ValueError(
                f"Invalid hyperparameter of technique {self.name!r}. "
                f"{expected} Received: {unknown}"
            )
        return {**self.defaults, **overrides}

    def check(self, overrides):
        """Raise unless these are hyperparameters of the right kind."""
        self.hyperparameters(overrides)
        for key, value in overrides.items():
            if key in ("ghost_batch_size", "groups"):
                check_positive_int(key, value)
                continue
            kinds, expected = allowed_kinds(key, self.defaults[key])
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise invalid(f"{self.name}.{key}", expected, value)


def allowed_kinds(key, default):
    """The types that a hyperparameter may have, and what they are called."""
    if key == "layer":
        # The model knows better.
        expected = "the name of a layer, or an index from the output"
        return str | int | None, f"{expected} (-1 is the last)"
    if isinstance(default, str):
        kinds, expected = str, "a word"
    elif default is None:
        kinds, expected = Real | None, "a number or None"
    else:
        kinds, expected = Real, "a number"
    return kinds, f"{expected}, as the default, {default!r}"


def try_out(technique, settings, context, model):
    """Call a technique's hooks on a regime, a model, an optimizer and a batch.

    They raise the errors of the classes they make: settings that are out of
    range are found before hours of training depend on them. The model is left
    as it is.
    """
    import keras
    import numpy as np

    from keras_lbreg.schedules import Regime

    if technique.regime:
        Regime(context.base_batch_size, 1.0, 1).scaled(
            context.batch_size,
            verbose=False,
            **{"rule": None, **technique.regime(settings, context)},
        )
    if technique.model:
        technique.model(model, settings, context)
    if technique.optimizer:
        technique.optimizer(keras.optimizers.SGD(), settings, context)
    if technique.data:
        batch = np.zeros((8, 2), "float32"), np.zeros(8, "int32")
        next(iter(technique.data([batch], settings, context)))
