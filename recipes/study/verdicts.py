"""Whether differences exceed chance, one of them and many."""

import math

from scipy.special import stdtr

from keras_lbreg.experiments.statistics import ROUNDING, Stat, exceeds_chance


def verdict(differences):
    """`"better"`, `"worse"`, or `""` where it may be chance.

    Args:
        differences: A `Stat`.
    """
    if exceeds_chance(differences):
        return "better"
    opposite = Stat(-differences.mean, differences.std, differences.n)
    return "worse" if exceeds_chance(opposite) else ""


def p_value(differences):
    """The two-sided p value of the t test that `exceeds_chance` makes.

    Where all differences are equal there is no noise to compare with: 1 where
    they are zero, otherwise 0.

    Args:
        differences: A `Stat`.
    """
    if differences.n < 2:
        return math.nan
    if differences.std < ROUNDING:
        return 1.0 if abs(differences.mean) < ROUNDING else 0.0
    error = differences.std / math.sqrt(differences.n)
    t = abs(differences.mean) / error
    return float(2 * stdtr(differences.n - 1, -t))


def survivors_of_many(p_values, level=0.05):
    """How many of many tests stand when it counts how many were made.

    Holm's method: with m tests, the smallest p is compared with `level / m`,
    the next with `level / (m - 1)`, and so on up to the first that fails.

    Args:
        p_values: The p values.
        level: Probability of one false statement or more.

    Returns:
        How many stand.

    Reference: Holm 1979, "A simple sequentially rejective multiple test
    procedure".
    """
    tests = sorted(p_values)
    for place, p in enumerate(tests):
        if not p <= level / (len(tests) - place):
            return place
    return len(tests)
