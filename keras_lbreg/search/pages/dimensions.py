"""The hyperparameters of a search, as axes of plots and columns of tables."""

import dataclasses
import math

import numpy as np

from keras_lbreg.techniques import get, names

# An integer with more values than this gets a scale of numbers.
MOST_CATEGORIES = 8
# Characters of a value beside an axis.
LONGEST = 14


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One hyperparameter and its value in every trial that has it.

    Args:
        name: `"batch_size"`, `"learning_rate_factor"`, the name of a
            technique (whether it is on), or `"technique.hyperparameter"`.
        values: Value by trial id; a trial whose technique is off is left out.
        choices: All values in their order, where they are categories;
            otherwise `None`.
        log: Whether the scale is logarithmic.

    Example:

    >>> [dimension.name for dimension in dimensions(results)]
    ['learning_rate_factor', 'dreg', 'dreg.weight']

    Reference: `dimensions`.
    """

    name: str
    values: dict
    choices: tuple | None
    log: bool

    @property
    def technique(self):
        """The technique it belongs to, or `None`."""
        technique = self.name.partition(".")[0]
        return technique if technique in names() else None

    @property
    def label(self):
        """A short name: the technique's symbol and the hyperparameter."""
        technique, _, key = self.name.partition(".")
        if self.technique is None:
            return self.name.replace("_", " ")
        symbol = get(technique).symbol
        return f"{symbol}: {key.replace('_', ' ')}" if key else symbol

    def place(self, value):
        """Where a value stands on the axis: itself, or its category."""
        return value if self.choices is None else self.choices.index(value)

    def text(self, value):
        """A value as it is printed."""
        return format_value(value)


def dimensions(results):
    """Every hyperparameter that took more than one value.

    Args:
        results: A `SearchResults`.

    Returns:
        A list of `Dimension`s: batch size, learning-rate factor, then by
        technique, in the register's order, whether it is on and its
        hyperparameters.

    Example:

    >>> dimensions(read_search("runs/tune-digits"))

    Reference: `keras_lbreg.tuning.SearchSpace`.
    """
    settings = {trial.id: settings_of(trial) for trial in results.trials}
    known = sorted(
        {name for values in settings.values() for name in values}, key=place_of
    )
    scales = {
        entry["config"]["name"]: entry["config"].get("sampling")
        for entry in results.space
    }
    found = []
    for name in known:
        values = {
            trial: own.get(name, False)
            for trial, own in settings.items()
            # Off is a value of the technique, and none of what it is set to.
            if name in own or name in names()
        }
        different = set(values.values())
        if len(different) > 1:
            scale = scales.get(name)
            choices = as_choices(different, scale)
            found.append(Dimension(name, values, choices, scale == "log"))
    return found


def settings_of(trial):
    """The configuration of a trial as one flat dictionary.

    Args:
        trial: A `Trial`.

    Returns:
        Value by name as in `Dimension`; techniques that are off are left out.

    Example:

    >>> settings_of(results.best)
    {'batch_size': 512, 'learning_rate_factor': 1.3, 'lr_scaling': True, ...}

    Reference: `keras_lbreg.tuning.Configuration`.
    """
    configuration = trial.configuration
    flat = {
        "batch_size": configuration.batch_size,
        "learning_rate_factor": configuration.learning_rate_factor,
    }
    for technique in sorted(configuration.techniques, key=names().index):
        flat[technique] = True
        for key, value in configuration.techniques[technique].items():
            flat[f"{technique}.{key}"] = value
    return flat


def format_value(value):
    """Return `True` as `on`, numbers with three digits, and text as it is."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def place_of(name):
    technique, _, key = name.partition(".")
    if technique in names():
        space = list(get(technique).defaults)
        return names().index(technique), 1 + space.index(key) if key else 0
    return -1, ("batch_size", "learning_rate_factor").index(name)


def as_choices(values, scale):
    """The categories in order, or `None` where they are numbers on a scale."""
    few = len(values) <= MOST_CATEGORIES
    if scale and not (few and all(isinstance(x, int) for x in values)):
        return None
    numeric = all(isinstance(value, (int, float)) for value in values)
    return tuple(sorted(values, key=None if numeric else str))


def shortened(text):
    """The end of a long name: the paths of layers begin alike."""
    return text if len(text) <= LONGEST else f"…{text[1 - LONGEST :]}"


def spread(count):
    """Offsets within a category, far apart for neighbours."""
    golden = (math.sqrt(5) - 1) / 2
    return 0.5 * (np.arange(count) * golden % 1.0 - 0.5)
