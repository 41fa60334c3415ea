"""What a screen says: effects, and the combinations worth confirming."""

import dataclasses
import math

import numpy as np
from scipy.special import stdtrit

from keras_lbreg.comparison.statistics import Stat
from recipes.together.combination import (
    RATES,
    SWITCHES,
    Combination,
    all_combinations,
)

TOP = 3
# These are arms of the confirmation in any case.
REFERENCES = ("sqrt", "sqrt_x2", "linear", "sqrt_warmup")


@dataclasses.dataclass(frozen=True)
class Effect:
    """What one factor does to the accuracy, on average over all others.

    Args:
        factor: `"rate"` or a name out of `SWITCHES`.
        level: Name of the level.
        mean: Accuracy at this level minus that at the factor's first one.
        error: Half of the 95 % confidence interval.

    Example:

    >>> Effect("gbn", "on", 0.01, 0.004).exceeds_chance
    True

    Reference: `effects`.
    """

    factor: str
    level: str
    mean: float
    error: float

    @property
    def exceeds_chance(self):
        """Whether the interval lies on one side of zero."""
        return abs(self.mean) > self.error


def candidates(results):
    """The accuracy of every combination of a complete screen.

    Returns:
        A dictionary from `Combination` to its `Stat` over seeds. A run that
        failed counts with the last accuracy it had.
    """
    known = {one.name: one for one in all_combinations()}
    values = {}
    for name in results.arm_names:
        if name in known:
            runs = results.runs_of(name)
            if len(runs) < len(results.manifest["seeds"]):
                return {}
            values[known[name]] = Stat.of(map(last_accuracy, runs))
    return values


def last_accuracy(run):
    if run.status == "finished":
        return run.final
    accuracies = [record.objective for record in run.epochs]
    return next((a for a in reversed(accuracies) if not math.isnan(a)), 0.0)


def fit(values):
    """The additive model of a balanced design.

    ```
    accuracy = mean + rate_r + sum_s (+-) switch_s / 2 + rest
    ```

    Means over the runs at a level are its least-squares estimates, since every
    pair of factors has all pairs of levels equally often. The rest holds
    interactions as well as noise between seeds: an effect counts only where it
    is larger than what it depends on.

    Args:
        values: Accuracy by `Combination`.

    Returns:
        The triple of the overall mean, the deviation from it by
        `(factor, level)`, and the standard deviation of the rest.
    """
    accuracy = np.array(list(values.values()))
    overall = accuracy.mean()
    parts = {}
    for factor, levels in level_masks(values).items():
        for level, mask in levels.items():
            parts[factor, level] = accuracy[mask].mean() - overall
    rest = [a - predict(c, overall, parts) for c, a in values.items()]
    freedom = degrees_of_freedom(values)
    return overall, parts, math.sqrt(np.sum(np.square(rest)) / freedom)


def degrees_of_freedom(values):
    """Runs less the mean, three for the rate and one for each switch."""
    return len(values) - len(RATES) - len(SWITCHES)


def level_masks(values):
    """By factor and level, which of the runs have it."""
    masks = {
        "rate": {
            rate: np.array([c.rate == rate for c in values]) for rate in RATES
        }
    }
    for switch in SWITCHES:
        on = np.array([switch in c.switches for c in values])
        masks[switch] = {"off": ~on, "on": on}
    return masks


def predict(combination, overall, parts):
    """What the additive model says of a combination, run or not."""
    levels = [("rate", combination.rate)]
    for switch in SWITCHES:
        on = "on" if switch in combination.switches else "off"
        levels.append((switch, on))
    return overall + sum(parts[level] for level in levels)


def effects(results):
    """The `Effect`s of a screen.

    Returns:
        A list, empty where the screen is not complete.
    """
    values = {c: stat.mean for c, stat in candidates(results).items()}
    if not values:
        return []
    _, parts, std = fit(values)
    quantile = stdtrit(degrees_of_freedom(values), 0.975)
    found = []
    for factor, masks in level_masks(values).items():
        first, *others = masks
        for level in others:
            error = std * math.sqrt(
                1 / masks[first].sum() + 1 / masks[level].sum()
            )
            found.append(
                Effect(
                    factor,
                    level,
                    float(parts[factor, level] - parts[factor, first]),
                    float(quantile * error),
                )
            )
    return found


def chosen(results):
    """The combinations of a screen that are worth confirming.

    The best few that were run, and the best of all 128 by the additive model,
    which may not have been.

    Returns:
        A list of `Combination`s without those that are confirmed in any case;
        empty where the screen is not complete.
    """
    values = {c: stat.mean for c, stat in candidates(results).items()}
    if not values:
        return []
    ranked = sorted(values, key=lambda c: (-values[c], c.name))
    picked = dict.fromkeys((*ranked[:TOP], predicted_best(values)))
    return [c for c in picked if c.name not in REFERENCES]


def predicted_best(values) -> Combination:
    """The combination of which the additive model expects most."""
    overall, parts, _ = fit(values)
    return max(all_combinations(), key=lambda c: predict(c, overall, parts))
