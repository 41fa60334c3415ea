"""What the tables and figures take out of the results."""

from keras_lbreg.comparison.statistics import Stat, finals
from recipes.jaiswal_taura.configuration import DECAYS
from recipes.study import statistics


def name_of(family, batch, reading):
    """The name of the comparison that has a large batch, or 32."""
    large = family.small_stands_with if batch == 32 else batch
    return family.comparison(large, reading).name


def accuracies(study, family, batch, reading, arm):
    """Final validation accuracy by seed, empty where nothing was run."""
    results = study.results(name_of(family, batch, reading))
    return finals(results, arm) if results else {}


def gain(own, other):
    """The difference of two arms by seed, a `Stat`."""
    return Stat.of(own[seed] - other[seed] for seed in own if seed in other)


def verdict(difference):
    """Whether a difference is more than chance, in words."""
    if difference.n < 2:
        return "cannot be told"
    return statistics.verdict(difference) or "no more than chance"


def run_so_far(study, family):
    """The readings and the batches of which the family has results."""
    found = [
        (reading, batch)
        for reading in DECAYS
        for batch in family.batches
        if study.results(name_of(family, batch, reading))
    ]
    return (
        [r for r in DECAYS if r in [reading for reading, _ in found]],
        [b for b in family.batches if b in [batch for _, batch in found]],
    )
