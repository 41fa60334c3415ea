"""Whether recorded differences exceed chance, one by one.

`keras_lbreg.comparison.statistics` corrects its verdicts for their number; the
recorded tables say of each difference by itself.
"""

import math

from scipy.special import stdtr, stdtrit

from keras_lbreg.comparison.statistics import ROUNDING, Stat


def finished_runs(results, arm):
    """The finished runs of an arm by seed."""
    return {
        run.seed: run
        for run in results.runs_of(arm)
        if run.status == "finished"
    }


def exceeds_chance(differences):
    """Whether paired differences have a mean above zero by more than chance.

    True where the lower end of the mean's 95 % t interval lies above zero. Of
    a single value nothing can be said, nor of two that are equal, as
    accuracies of few samples may be: the answer is `False`.

    Reference: Student 1908, "The probable error of a mean".
    """
    equal_pair = differences.n == 2 and differences.std < ROUNDING
    if differences.n < 2 or equal_pair:
        return False
    quantile = stdtrit(differences.n - 1, 0.975)
    error = differences.std / math.sqrt(differences.n)
    return bool(differences.mean > quantile * error)


def verdict(differences):
    """`"better"`, `"worse"`, or `""` where it may be chance."""
    if exceeds_chance(differences):
        return "better"
    opposite = Stat(-differences.mean, differences.std, differences.n)
    return "worse" if exceeds_chance(opposite) else ""


def p_value(differences):
    """The two-sided p value of the t test that `exceeds_chance` makes.

    Where all differences are equal there is no noise to compare with: 1 where
    they are zero, otherwise 0.
    """
    if differences.n < 2:
        return math.nan
    if differences.std < ROUNDING:
        return 1.0 if abs(differences.mean) < ROUNDING else 0.0
    error = differences.std / math.sqrt(differences.n)
    t = abs(differences.mean) / error
    return float(2 * stdtr(differences.n - 1, -t))
