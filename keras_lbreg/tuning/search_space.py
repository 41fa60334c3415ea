"""The search space: from the register of techniques to hyperparameters."""

import contextlib
import dataclasses

from keras_lbreg.checks import check_positive_int
from keras_lbreg.techniques import (
    TECHNIQUES,
    Context,
    SearchRange,
    get,
    names,
)
from keras_lbreg.techniques.check_hyperparameters import (
    check_hyperparameters,
)
from keras_lbreg.techniques.try_out import try_out
from keras_lbreg.tuning.configuration import Configuration
from keras_lbreg.tuning.search_values import (
    check_factor,
    checked_ranges,
    declare_range,
    ends,
    first_value,
)

# The technique that trains longer: a search that may take it takes it.
LONGER = "regime_adaptation"


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """What a search may try, for one model.

    Each technique that is not in `always` is a Boolean hyperparameter of its
    own name, and its hyperparameters (`"dreg.weight"`) exist only where it is
    on. `group_noise` exists only where `gradient_mix` is off, as each takes
    the place of the other.

    Args:
        batch_sizes: The large batch sizes, over all devices.
        base_batch_size: The small batch, which the regime was made for.
        techniques: Names of techniques to try. Defaults to all of the
            register but regime adaptation, which trains longer and so wins.
        always: Names of techniques that every trial has.
        learning_rate_factor: Smallest and largest factor on the learning
            rate, tried on a logarithmic scale; `None` keeps the rate that the
            regime and the techniques give. Without it, what a technique
            gains by changing the size of the gradient looks like merit.
        ranges: Other values than the register's: by technique and
            hyperparameter a `SearchRange`, a list of choices, or one value.
        replicas: Replicas that share every batch.
        dreg_layer: What DReg's `layer=None` stands for.

    Raises:
        ValueError: An argument has no meaning. Whether it suits the model and
            the data is told by `check`.

    Example:

    >>> space = SearchSpace(
    ...     [1024, 4096],
    ...     base_batch_size=128,
    ...     techniques=["ghost_batch_norm", "dreg"],
    ...     always=["lr_scaling"],
    ...     ranges={"dreg": {"weight": SearchRange(1e-2, 1.0, log=True)}},
    ... )
    >>> hp = keras_tuner.HyperParameters()
    >>> space.declare(hp, model)
    >>> space.configuration(hp.values)

    Reference: https://keras.io/keras_tuner for the kinds of hyperparameters;
    every `keras_lbreg.techniques.Technique` has its own ranges.
    """

    batch_sizes: tuple
    base_batch_size: int
    techniques: tuple | None = None
    always: tuple = ()
    learning_rate_factor: tuple | None = (0.25, 4.0)
    ranges: dict = dataclasses.field(default_factory=dict)
    replicas: int = 1
    dreg_layer: str | int = "last_conv"

    def __post_init__(self):
        check_positive_int("base_batch_size", self.base_batch_size)
        check_positive_int("replicas", self.replicas)
        sizes = as_tuple("batch_sizes", self.batch_sizes)
        for size in sizes:
            check_positive_int("batch_sizes", size)
        if not sizes or len(set(sizes)) < len(sizes):
            raise ValueError(
                "Invalid value for argument `batch_sizes`. Expected one or "
                "more different integers. Received: "
                f"batch_sizes={self.batch_sizes!r}"
            )
        always = in_order("always", self.always)
        tried = self.techniques
        if tried is None:
            tried = [x for x in names() if x not in (LONGER, *always)]
        tried = in_order("techniques", tried)
        if both := sorted(set(tried) & set(always)):
            raise ValueError(
                "Invalid value for argument `always`. Expected no technique of "
                f"`techniques`, which are tried on and off. Received: {both} "
                "in both"
            )
        # What another one that is always there leaves no place for.
        tried = tuple(x for x in tried if get(x).alternative_to not in always)
        for name, value in {
            "batch_sizes": sizes,
            "techniques": tried,
            "always": always,
            "ranges": checked_ranges(self.ranges, (*tried, *always)),
        }.items():
            object.__setattr__(self, name, value)
        check_factor(self.learning_rate_factor)

    def declare(self, hp, model):
        """Register the hyperparameters, all conditions included.

        Args:
            hp: A `keras_tuner.HyperParameters`.
            model: The plain model, for the choices that depend on it.

        Raises:
            ValueError: A hyperparameter has no value that suits the model and
                the batch sizes.
        """
        declare_range(hp, "batch_size", self.batch_sizes)
        if self.learning_rate_factor is not None:
            low, high = self.learning_rate_factor
            factors = SearchRange(float(low), float(high), log=True)
            declare_range(hp, "learning_rate_factor", factors, 1.0)
        for technique in self._used():
            name = technique.name
            with contextlib.ExitStack() as scopes:
                if technique.alternative_to in self.techniques:
                    scopes.enter_context(
                        hp.conditional_scope(technique.alternative_to, [False])
                    )
                if name in self.techniques:
                    hp.Boolean(name)
                    scopes.enter_context(hp.conditional_scope(name, [True]))
                for key, values in self.values_of(technique, model).items():
                    default = technique.defaults[key]
                    declare_range(hp, f"{name}.{key}", values, default)

    def configuration(self, values):
        """The configuration that hyperparameter values stand for.

        Args:
            values: Value by name, such as `trial.hyperparameters.values`.
                Names that are not of this space are ignored.

        Returns:
            A `Configuration`.
        """
        techniques = {}
        for technique in self._used():
            name = technique.name
            other = technique.alternative_to in self.techniques and values.get(
                technique.alternative_to
            )
            if (values.get(name) and not other) or name in self.always:
                prefix = f"{name}."
                techniques[name] = {
                    key.removeprefix(prefix): value
                    for key, value in values.items()
                    if key.startswith(prefix)
                }
        return Configuration(
            values.get("batch_size", self.batch_sizes[0]),
            techniques,
            values.get("learning_rate_factor", 1.0),
        )

    def infeasible(self, configuration, samples=None):
        """Why a configuration cannot be trained as it is meant, or `None`.

        Args:
            configuration: A `Configuration`.
            samples: Number of training samples, where it is known.
        """
        batch = configuration.batch_size
        if samples is not None and batch > samples:
            return f"a batch of {batch} is more than the {samples} samples"
        if batch % self.replicas:
            return f"{self.replicas} replicas cannot share a batch of {batch}"
        own = batch // self.replicas
        settings = configuration.techniques
        ghost = settings.get("ghost_batch_norm", {}).get("ghost_batch_size", 0)
        if ghost > own:
            return f"a ghost of {ghost} is larger than a replica's batch, {own}"
        for name in ("gradient_mix", "group_noise"):
            groups = settings.get(name, {}).get("groups", 0)
            if groups > batch:
                return f"a batch of {batch} has no {groups} groups"
        return None

    def check(self, model, samples=None):
        """Raise if the space holds a mistake, before any trial.

        Every technique is applied once with the values of the first trial, and
        once with each value of `ranges` (a range's ends).

        Args:
            model: The plain model. It is left as it is.
            samples: Number of training samples, where it is known.

        Raises:
            ValueError: A technique cannot be applied, a hyperparameter of
                `ranges` is out of its range, names no layer, has no value that
                suits, or a batch is larger than the data.
        """
        self.check_batch_sizes(samples)
        for technique in self._used():
            values = self.values_of(technique, model)
            first = {
                key: first_value(choices, technique.defaults[key])
                for key, choices in values.items()
            }
            tries = [first]
            for key in self.ranges.get(technique.name, {}):
                tries += [{**first, key: x} for x in ends(values[key])]
            for settings in tries:
                check_hyperparameters({technique.name: settings})
                try_out(
                    technique,
                    technique.hyperparameters(settings),
                    self._context(self.batch_sizes[0]),
                    model,
                )

    def check_batch_sizes(self, samples=None):
        """Raise unless every batch size suits the devices and the data.

        Args:
            samples: Number of training samples, where it is known.

        Raises:
            ValueError: A batch is larger than the data, or cannot be shared.
        """
        for size in self.batch_sizes:
            plain = Configuration(size, {})
            if reason := self.infeasible(plain, samples):
                raise ValueError(
                    "Invalid value for argument `batch_sizes`. Expected sizes "
                    "that the training data and the devices allow. Received: "
                    f"batch_sizes={list(self.batch_sizes)}; {reason}"
                )

    def values_of(self, technique, model):
        """What each hyperparameter of a technique may be, for this model.

        Args:
            technique: The `Technique`.
            model: The plain model.

        Returns:
            By hyperparameter a `SearchRange`, or a tuple of choices.
        """
        found = {}
        given = self.ranges.get(technique.name, {})
        for key, values in {**technique.search_space, **given}.items():
            if isinstance(values, SearchRange) and values.choices is not None:
                values = values.choices
            if callable(values):
                of_sizes = [
                    choice
                    for size in self.batch_sizes
                    for choice in values(model, self._context(size))
                ]
                values = tuple(dict.fromkeys(of_sizes))
            if values == ():
                raise ValueError(
                    f"No value of `{technique.name}.{key}` suits the model and "
                    f"batch sizes of {list(self.batch_sizes)}. Give values of "
                    f"your own in `ranges` (`--range {technique.name}."
                    f"{key}=...`), or leave the technique out."
                )
            found[key] = values
        return found

    def _used(self):
        wanted = {*self.techniques, *self.always}
        return [x for x in TECHNIQUES if x.name in wanted]

    def _context(self, batch_size):
        return Context(
            seed=0,
            base_batch_size=self.base_batch_size,
            batch_size=batch_size,
            dreg_layer=self.dreg_layer,
            replicas=self.replicas,
        )


def in_order(name, techniques):
    """Names of techniques in the register's order, each once."""
    chosen = as_tuple(name, techniques)
    for technique in chosen:
        get(technique)
    return tuple(x for x in names() if x in chosen)


def as_tuple(name, values):
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected a sequence. "
            f"Received: {name}={values!r}"
        )
    return tuple(values)
