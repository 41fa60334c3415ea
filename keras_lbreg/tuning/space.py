"""The search space: from the register of techniques to hyperparameters."""

import contextlib
import dataclasses
import numbers

from keras_lbreg.checks import check_positive_int
from keras_lbreg.techniques import (
    OPTIMIZERS,
    RATE_RULES,
    Context,
    SearchRange,
    get,
    names,
)
from keras_lbreg.training.arm import Arm

# The technique that trains longer: a search that may take it takes it.
LONGER = "regime_adaptation"


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """What a search may try, for one model.

    Each technique in `tried` is a Boolean hyperparameter of its own name, and
    its hyperparameters (`"dreg.weight"`) exist only where it is on.
    `group_noise` exists only where `gradient_mix` is off, as each takes the
    place of the other.
    """

    batch_sizes: tuple
    learning_rate_factor: SearchRange | None
    tried: tuple
    # By technique, those of every trial too, and hyperparameter a
    # `SearchRange` or a tuple of choices.
    values: dict
    # What of this the user has given.
    ranges: dict

    def declare(self, hp):
        """Registers the hyperparameters, all conditions included."""
        declare_choices(hp, "batch_size", self.batch_sizes)
        if self.learning_rate_factor is not None:
            name = "learning_rate_factor"
            declare_choices(hp, name, self.learning_rate_factor, 1.0)
        for name, values in self.values.items():
            technique = get(name)
            with contextlib.ExitStack() as scopes:
                if technique.alternative_to in self.tried:
                    scopes.enter_context(
                        hp.conditional_scope(technique.alternative_to, [False])
                    )
                if name in self.tried:
                    hp.Boolean(name)
                    scopes.enter_context(hp.conditional_scope(name, [True]))
                for key, choices in values.items():
                    default = technique.defaults[key]
                    declare_choices(hp, f"{name}.{key}", choices, default)

    def arm(self, values):
        """The arm that hyperparameter values stand for; others are ignored."""
        techniques = {}
        for name, own in self.values.items():
            if name not in self.tried or values.get(name):
                techniques[name] = {
                    key: values[f"{name}.{key}"]
                    for key in own
                    if f"{name}.{key}" in values
                }
        return Arm(
            "Trial",
            techniques,
            batch_size=values["batch_size"],
            learning_rate_factor=values.get("learning_rate_factor", 1.0),
        )

    def control(self, values):
        """The same values without any technique but rules of the rate."""
        off = [name for name in self.tried if name not in RATE_RULES]
        kept = {k: v for k, v in values.items() if k.split(".")[0] not in off}
        return {**kept, **dict.fromkeys(off, False)}

    def samples(self):
        """An arm for each technique, and for the ends of each given range."""
        for name, values in self.values.items():
            defaults = get(name).defaults
            first = {k: first_value(v, defaults[k]) for k, v in values.items()}
            changes = [
                {key: value}
                for key in self.ranges.get(name, ())
                for value in ends(values[key])
            ]
            for change in ({}, *changes):
                yield Arm("Trial", {name: first | change}, self.batch_sizes[0])


def make_space(
    model,
    base_batch_size,
    batch_sizes,
    techniques=None,
    always=(),
    learning_rate_factor=(0.25, 4.0),
    ranges=None,
    replicas=1,
):
    """The `SearchSpace` for a plain model; see `LargeBatchHyperModel`.

    A technique that can do nothing for the model is left out, or raises
    `ValueError` where it was asked for by name.
    """
    if not isinstance(batch_sizes, (list, tuple)):
        batch_sizes = [batch_sizes]
    for size in batch_sizes or [None]:
        check_positive_int("batch_sizes", size)
    if learning_rate_factor is not None:
        low, high = map(float, learning_rate_factor)
        learning_rate_factor = SearchRange(low, high, log=True)
    ranges = {
        name: {key: as_choices(values) for key, values in given.items()}
        for name, given in (ranges or {}).items()
    }
    asked = {get(x).name for x in (*always, *(techniques or ()), *ranges)}
    if techniques is None:
        left_out = {LONGER, *OPTIMIZERS}
        techniques = [name for name in names() if name not in left_out]
    tried = [
        name
        for name in techniques
        if name not in always and get(name).alternative_to not in always
    ]
    if unused := sorted({*ranges} - {*tried, *always}):
        raise ValueError(
            "Invalid value for argument `ranges`. Expected techniques that are "
            f"searched, {[*always, *tried]}. Received: ranges for {unused}"
        )
    contexts = [
        Context(0, base_batch_size, size, replicas=replicas)
        for size in batch_sizes
    ]
    values = {}
    for name in names():
        if name not in (*tried, *always):
            continue
        technique = get(name)
        given = ranges.get(name, {})
        # Unknown hyperparameters raise.
        technique.hyperparameters(given)
        found = {
            key: choices_of(choices, model, contexts)
            for key, choices in {**technique.search_space, **given}.items()
        }
        if reason := unfit(technique, model, contexts, found):
            if name in asked:
                raise ValueError(
                    f"The technique {name} does not suit the model. {reason}"
                )
            continue
        values[name] = found
    return SearchSpace(
        tuple(dict.fromkeys(batch_sizes)),
        learning_rate_factor,
        tuple(name for name in values if name in tried),
        values,
        ranges,
    )


def unfit(technique, model, contexts, values):
    """Why a technique can do nothing for the model, or `None`."""
    if technique.unfit is not None:
        for context in contexts:
            if reason := technique.unfit(model, context):
                return reason
    for key, choices in values.items():
        if choices == ():
            sizes = [context.batch_size for context in contexts]
            return (
                f"No value of `{technique.name}.{key}` suits batch sizes of "
                f"{sizes}. Give values of your own in `ranges`."
            )
    return None


def choices_of(values, model, contexts):
    """A `SearchRange` of numbers, or a tuple of choices for this model."""
    if isinstance(values, SearchRange) and values.choices is not None:
        values = values.choices
    if callable(values):
        found = [x for context in contexts for x in values(model, context)]
        values = tuple(dict.fromkeys(found))
    return values


def as_choices(values):
    """What a user gives in `ranges`: a range, choices, or one value."""
    if isinstance(values, SearchRange):
        return values
    choices = tuple(values) if isinstance(values, (list, tuple)) else (values,)
    if {type(x) for x in choices} == {int, float}:
        choices = tuple(map(float, choices))
    return tuple(dict.fromkeys(choices))


def declare_choices(hp, name, choices, default=None):
    """Registers one hyperparameter of the kind that suits its values."""
    default = first_value(choices, default)
    if not isinstance(choices, SearchRange):
        hp.Choice(name, list(choices), default=default)
        return
    low, high = choices.low, choices.high
    whole = isinstance(low, int) and isinstance(high, int)
    sampling = "log" if choices.log else "linear"
    declare = hp.Int if whole else hp.Float
    declare(name, low, high, sampling=sampling, default=default)


def first_value(choices, default):
    """The default where it is among the values, else the first of them."""
    if not isinstance(choices, SearchRange):
        return default if default in choices else choices[0]
    inside = isinstance(default, numbers.Real) and (
        choices.low <= default <= choices.high
    )
    return default if inside else choices.low


def ends(choices):
    """The values to try before a search: a range's ends, or all choices."""
    if isinstance(choices, SearchRange):
        return choices.low, choices.high
    return choices
