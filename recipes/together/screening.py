"""A screening design: the runs, the effects, and what is worth confirming."""

import dataclasses
import itertools
import math
import typing

import numpy as np
import scipy.stats

from keras_lbreg import Arm
from keras_lbreg.comparison.statistics import Stat

# From the square-root rule to the linear one; at 32 times the batch the rate
# is multiplied by 5.7, 11, 16 and 32.
RATES = {
    "sqrt": ("sqrt rule", {"rule": "sqrt"}, 1.0),
    "sqrt_x2": ("sqrt rule x2", {"rule": "sqrt"}, 2.0),
    "linear_half": ("linear rule x1/2", {"rule": "linear"}, 0.5),
    "linear": ("linear rule", {"rule": "linear"}, 1.0),
}
# What is on or off, by its short name: title and technique.
SWITCHES = {
    "warmup": ("warm-up", None),
    "gbn": ("GBN", "ghost_batch_norm"),
    "noise": ("noise", "gradient_noise"),
    "dreg": ("DReg", "dreg"),
    "mix": ("mix", "gradient_mix"),
}

TOP = 3
# These are arms of the confirmation in any case.
REFERENCES = ("sqrt", "sqrt_x2", "linear", "sqrt_warmup")


@dataclasses.dataclass(frozen=True)
class Combination:
    """A learning rate, a name out of `RATES`, and what is switched on."""

    rate: str
    switches: tuple = ()

    @property
    def name(self):
        return "_".join((self.rate, *self.switches))

    @property
    def title(self):
        titles = (SWITCHES[switch][0] for switch in self.switches)
        return " + ".join((RATES[self.rate][0], *titles))

    def arm(self, warmup_epochs):
        """The `Arm`, with a warm-up of so many epochs where it has one."""
        _, rule, factor = RATES[self.rate]
        warm = warmup_epochs if "warmup" in self.switches else 0
        techniques = [SWITCHES[switch][1] for switch in self.switches]
        return Arm(
            self.title,
            {
                "lr_scaling": {**rule, "warmup_epochs": warm},
                **{name: {} for name in techniques if name},
            },
            learning_rate_factor=factor,
            name=self.name,
            group="tuned",
            control="lr",
        )


# The four rates with all subsets of the switches, 128.
COMBINATIONS = {
    combination.name: combination
    for on in itertools.product((False, True), repeat=len(SWITCHES))
    for rate in RATES
    for combination in [
        Combination(rate, tuple(itertools.compress(SWITCHES, on)))
    ]
}


def fractional_factorial(base, generators):
    """The runs of a two-level design, dictionaries from letter to -1 or 1.

    Every combination of the levels of `base` is run once, the first letter
    changing fastest; the generators are products of them, such as `F = ABCD`.

    Reference: Box, Hunter and Hunter, "Statistics for Experimenters", 2nd
    edition, table 6.22.
    """
    runs = []
    for levels in itertools.product((-1, 1), repeat=len(base)):
        run = dict(zip(base, reversed(levels), strict=True))
        for letter, word in generators.items():
            run[letter] = math.prod(run[factor] for factor in word)
        runs.append(run)
    return runs


# Resolution IV: no effect of one factor is mixed up with that of another, or
# of a pair. In 32 runs the pairs that are mixed up with one another are of the
# last four alone; in 16, others as well.
IN_32_RUNS = fractional_factorial("ABCDE", {"F": "ABCD", "G": "ABDE"})
IN_16_RUNS = fractional_factorial("ABCD", {"E": "ABC", "F": "BCD", "G": "ACD"})

# The factors' columns but A and B, which are the rate: A doubles it, B goes
# from one rule to the other.
COLUMNS = {"C": "gbn", "D": "warmup", "E": "noise", "F": "dreg", "G": "mix"}


def combination_of(run):
    """The `Combination` of one run of a design in the columns A to G."""
    rate = list(RATES)[(run["A"] > 0) + 2 * (run["B"] > 0)]
    on = {COLUMNS[letter] for letter in COLUMNS if run[letter] > 0}
    return Combination(rate, tuple(name for name in SWITCHES if name in on))


def candidates(results):
    """The `Stat` of every combination of a screen; none until it has ended.

    A run that failed counts with the last accuracy it had.
    """
    values = {}
    for name in results.arm_names:
        if name in COMBINATIONS:
            runs = results.runs_of(name)
            if len(runs) < len(results.manifest["seeds"]):
                return {}
            values[COMBINATIONS[name]] = Stat.of(map(last_accuracy, runs))
    return values


def last_accuracy(run):
    known = (r.objective for r in reversed(run.epochs))
    return next((a for a in known if not math.isnan(a)), 0.0)


def mean_accuracies(results):
    return {one: stat.mean for one, stat in candidates(results).items()}


def indicators(combinations):
    """A row for each combination: 1, the rates but the first, the switches."""
    _, *rates = RATES
    rows = [
        (1, *(c.rate == r for r in rates), *(s in c.switches for s in SWITCHES))
        for c in combinations
    ]
    return np.array(rows, float)


def fit(values):
    """The additive model of a screen's accuracies by `Combination`.

    ```
    accuracy = mean + rate_r + sum_s switch_s + rest
    ```

    The rest holds interactions as well as noise between seeds: an effect
    counts only where it is larger than what it depends on.

    Returns:
        The least-squares coefficients of `indicators`, and half of their 95 %
        confidence intervals.
    """
    accuracy, columns = np.array(list(values.values())), indicators(values)
    coefficients = np.linalg.lstsq(columns, accuracy)[0]
    rest = accuracy - columns @ coefficients
    freedom = len(accuracy) - len(coefficients)
    inverse = np.linalg.inv(columns.T @ columns)
    errors = np.sqrt(np.diag(inverse) * (rest @ rest) / freedom)
    return coefficients, scipy.stats.t.ppf(0.975, freedom) * errors


class Effect(typing.NamedTuple):
    """A level's accuracy less the first one's, and half of its interval."""

    title: str
    mean: float
    error: float

    @property
    def exceeds_chance(self):
        return abs(self.mean) > self.error


def effects(results):
    """The `Effect`s of a screen, none where it is not complete."""
    values = mean_accuracies(results)
    if not values:
        return []
    first, *rates = (title for title, _, _ in RATES.values())
    titles = [f"{rate} (against the {first})" for rate in rates]
    titles += [title for title, _ in SWITCHES.values()]
    found = (column[1:].tolist() for column in fit(values))
    return list(map(Effect, titles, *found))


def chosen(results):
    """The combinations of a screen that are worth confirming.

    The best few that were run, and the best of all 128 by the additive model,
    which may not have been; without those that are confirmed in any case.
    """
    values = mean_accuracies(results)
    if not values:
        return []
    ranked = sorted(values, key=lambda c: (-values[c], c.name))
    picked = dict.fromkeys((*ranked[:TOP], predicted_best(values)))
    return [c for c in picked if c.name not in REFERENCES]


def predicted_best(values):
    """The combination of which the additive model expects most."""
    everything = list(COMBINATIONS.values())
    return everything[np.argmax(indicators(everything) @ fit(values)[0])]
