"""The search space: from the register of techniques to hyperparameters."""

import contextlib
import dataclasses
import math
import numbers

from keras_lbreg.checks import check_positive_int
from keras_lbreg.models.apply_dreg import dreg_candidates
from keras_lbreg.models.layer_search import resolve_layer
from keras_lbreg.techniques import (
    TECHNIQUES,
    Context,
    SearchRange,
    check_hyperparameters,
    get,
    names,
    try_out,
)
from keras_lbreg.training.arm import Arm

# The technique that trains longer: a search that may take it takes it.
LONGER = "regime_adaptation"

# An arm with no other technique is a learning-rate control.
SCALING = "lr_scaling"


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """What a search may try, for one model.

    Each technique that is not in `always` is a Boolean hyperparameter of its
    own name, and its hyperparameters (`"dreg.weight"`) exist only where it is
    on. `group_noise` exists only where `gradient_mix` is off, as each takes
    the place of the other. Layers are numbered from the output, `-1` being the
    last that can be chosen: Keras's automatic names depend on how many models
    were built before.

    Args:
        batch_sizes: The large batch sizes, over all devices.
        base_batch_size: The small batch, which the regime was made for.
        techniques: Names of techniques to try. Defaults to all of the
            register but regime adaptation, which trains longer and so wins,
            and those of `always`.
        always: Names of techniques that every trial has.
        learning_rate_factor: Smallest and largest factor on the learning
            rate, tried on a logarithmic scale; `None` keeps the rate that the
            regime and the techniques give. Without it, what a technique
            gains by changing the size of the gradient looks like merit.
        ranges: Other values than the register's: by technique and
            hyperparameter a `SearchRange`, a list of choices, or one value.
        replicas: Replicas that share every batch.

    Raises:
        ValueError: An argument has no meaning. Whether it suits the model and
            the data is the matter of `check`.

    Example:

    >>> space = SearchSpace([1024, 4096], base_batch_size=128)
    >>> hp = keras_tuner.HyperParameters()
    >>> space.declare(hp, model)
    >>> space.arm(hp.values)
    """

    batch_sizes: tuple
    base_batch_size: int
    techniques: tuple | None = None
    always: tuple = ()
    learning_rate_factor: tuple | None = (0.25, 4.0)
    ranges: dict = dataclasses.field(default_factory=dict)
    replicas: int = 1

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
        object.__setattr__(self, "all_techniques", tried is None)
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
            "ranges": checked_ranges(self.ranges or {}, (*tried, *always)),
        }.items():
            object.__setattr__(self, name, value)
        check_factor(self.learning_rate_factor)

    def suited_to(self, model):
        """The space without techniques that can do nothing for a model.

        Raises `ValueError` where it was asked for one of these by name.
        """
        reasons = {}
        for technique in self._used():
            sentences = [
                technique.unfit(model, self._context(size))
                for size in self.batch_sizes
                if technique.unfit
            ]
            # Asked for by name, a choice without a value raises.
            if self.all_techniques and not any(sentences):
                found = self.values_of(technique, model, ())
                sentences += [f"no {key}" for key, x in found.items() if not x]
            if sentence := next(filter(None, sentences), None):
                reasons[technique.name] = sentence
        asked = self.always if self.all_techniques else names()
        for name, sentence in reasons.items():
            if name in asked:
                raise ValueError(
                    f"The technique {name} does not suit the model. {sentence}"
                )
        kept = [x for x in self.techniques if x not in reasons]
        return dataclasses.replace(
            self,
            techniques=kept,
            ranges={k: v for k, v in self.ranges.items() if k not in reasons},
        )

    def declare(self, hp, model):
        """Registers the hyperparameters, all conditions included."""
        declare_values(hp, "batch_size", self.batch_sizes)
        if self.learning_rate_factor is not None:
            low, high = self.learning_rate_factor
            factors = SearchRange(float(low), float(high), log=True)
            declare_values(hp, "learning_rate_factor", factors, 1.0)
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
                    declare_values(hp, f"{name}.{key}", values, default)

    def arm(self, values, title="Trial", **arguments):
        """The arm that hyperparameter values stand for; others are ignored."""
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
        return Arm(
            title,
            techniques,
            batch_size=values.get("batch_size", self.batch_sizes[0]),
            learning_rate_factor=values.get("learning_rate_factor", 1.0),
            **arguments,
        )

    def control(self, values):
        """The same values without any technique but learning-rate scaling."""
        off = [name for name in self.techniques if name != SCALING]
        kept = {
            key: value
            for key, value in values.items()
            if key.partition(".")[0] not in off
        }
        return {**kept, **dict.fromkeys(off, False)}

    def infeasible(self, arm, samples=None):
        """Why an arm cannot be trained as it is meant, or `None`."""
        batch = arm.batch_size
        if samples is not None and batch > samples:
            return f"a batch of {batch} is more than the {samples} samples"
        if batch % self.replicas:
            return f"{self.replicas} replicas cannot share a batch of {batch}"
        own = batch // self.replicas
        settings = arm.techniques
        ghost = settings.get("ghost_batch_norm", {}).get("ghost_batch_size", 0)
        if ghost > own:
            return f"a ghost of {ghost} is larger than a replica's batch, {own}"
        for name in ("gradient_mix", "group_noise"):
            groups = settings.get(name, {}).get("groups", 0)
            if groups > batch:
                return f"a batch of {batch} has no {groups} groups"
        return None

    def check(self, model, samples=None):
        """Raises `ValueError` if the space holds a mistake.

        Every technique is applied once with the values of the first trial, and
        once with each value of `ranges` (a range's ends).
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
        """Raises unless every batch size suits the devices and the data."""
        for size in self.batch_sizes:
            reason = self.infeasible(Arm("Plain", batch_size=size), samples)
            if reason:
                raise ValueError(
                    "Invalid value for argument `batch_sizes`. Expected sizes "
                    "that the training data and the devices allow. Received: "
                    f"batch_sizes={list(self.batch_sizes)}; {reason}"
                )

    def values_of(self, technique, model, missing=None):
        """By hyperparameter a `SearchRange` or a tuple, for this model."""
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
            if key == "layer" and isinstance(values, tuple):
                values = positions(model, values)
            if values == () and missing is None:
                raise ValueError(
                    f"No value of `{technique.name}.{key}` suits the model and "
                    f"batch sizes of {list(self.batch_sizes)}. Give values of "
                    "your own in `ranges`, or leave the technique out."
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
            replicas=self.replicas,
        )


def positions(model, layers):
    """Layers of DReg by their place among the candidates, from the output."""
    if list(layers) == ["last_conv"]:
        return layers
    candidates = dreg_candidates(model)
    unique = list(dict.fromkeys(candidates.values()))
    found = [
        unique.index(resolve_layer(model, layer, candidates)) - len(unique)
        for layer in layers
    ]
    return tuple(dict.fromkeys(found))


def declare_values(hp, name, values, default=None):
    """Registers one hyperparameter of the kind that suits its values."""
    default = first_value(values, default)
    if not isinstance(values, SearchRange):
        if len(values) == 1:
            hp.Fixed(name, values[0])
            return
        hp.Choice(name, list(values), default=default)
        return
    low, high = values.low, values.high
    whole = isinstance(low, int) and isinstance(high, int)
    (hp.Int if whole else hp.Float)(
        name,
        low,
        high,
        sampling="log" if values.log else "linear",
        default=default,
    )


def first_value(values, default=None):
    """The default where it is among the values, else the first of them."""
    if not isinstance(values, SearchRange):
        return default if default in values else values[0]
    inside = isinstance(default, numbers.Real) and (
        values.low <= default <= values.high
    )
    return default if inside else values.low


def ends(values):
    """The values to try before a search: a range's ends, or all choices."""
    if isinstance(values, SearchRange):
        return values.low, values.high
    return values


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


def checked_ranges(ranges, used):
    """Ranges whose values are `SearchRange`s or tuples of choices."""
    checked = {}
    for name, values_by_key in ranges.items():
        technique = get(name)
        if name not in used:
            raise ValueError(
                "Invalid value for argument `ranges`. Expected techniques that "
                f"are searched, {list(used)}. Received: ranges for {name!r}"
            )
        # Unknown hyperparameters raise.
        technique.hyperparameters(values_by_key)
        checked[name] = {
            key: as_values(f"{name}.{key}", values)
            for key, values in values_by_key.items()
        }
    return checked


def as_values(name, values):
    """A `SearchRange`, or a tuple of choices of one kind."""
    if isinstance(values, SearchRange):
        return values
    choices = tuple(values) if isinstance(values, (list, tuple)) else (values,)
    kinds = {float if isinstance(x, float) else type(x) for x in choices}
    if kinds == {int, float}:
        choices, kinds = tuple(map(float, choices)), {float}
    finite = all(math.isfinite(x) for x in choices if isinstance(x, float))
    if len(kinds) != 1 or kinds - {str, int, float, bool} or not finite:
        raise ValueError(
            f"Invalid value for argument `ranges`. Expected for {name} a "
            "`SearchRange`, or words or finite numbers, all of one kind. "
            f"Received: {values!r}"
        )
    return tuple(dict.fromkeys(choices))


def check_factor(factor):
    """Raises unless it is two factors or `None`."""
    if factor is None:
        return
    try:
        low, high = factor
        SearchRange(low, high, log=True)
        valid = math.isfinite(high)
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            "Invalid value for argument `learning_rate_factor`. Expected the "
            "smallest and the largest factor, positive, or None. Received: "
            f"learning_rate_factor={factor!r}"
        )
