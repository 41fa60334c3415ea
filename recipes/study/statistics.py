"""Numbers of recipes' tables and figures, out of results."""

import dataclasses
import math
import statistics

import numpy as np
from scipy.special import stdtr, stdtrit

REFERENCE, BASELINE = "small_batch", "large_batch"

# Deviations below this are errors of rounding.
ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Stat:
    """Mean and sample standard deviation (`nan` below two values)."""

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, values):
        """The statistic of some numbers; those that are `nan` are left out."""
        values = [v for v in values if v is not None and not math.isnan(v)]
        return cls(
            statistics.fmean(values) if values else math.nan,
            statistics.stdev(values) if len(values) > 1 else math.nan,
            len(values),
        )


def finished_runs(results, arm):
    """The finished runs of an arm by seed."""
    return {
        run.seed: run
        for run in results.runs_of(arm)
        if run.status == "finished"
    }


def finals(results, arm):
    """Objective after the last epoch by seed of the arm's finished runs."""
    runs = finished_runs(results, arm)
    return {seed: run.final for seed, run in runs.items()}


def first_reaching(run, level):
    """The first record with at least this objective, or `None`."""
    return next((e for e in run.epochs if e.objective >= level), None)


def share_closed(results, arm):
    """Share of the large batch's gap that an arm closes, a `Stat`.

    With the final accuracies `a_s` of the arm, `S_s` of the small batch and
    `L_s` of the large one, for each seed that finished in all of them,

    ```
    closed  = mean(a_s - L_s) / mean(S_s - L_s)
    its std = std(a_s - L_s - closed * (S_s - L_s)) / |mean(S_s - L_s)|
    ```

    A ratio of means: a ratio for each seed explodes where one seed's gap is
    small. `nan` where there is no gap.

    Reference: Cochran, "Sampling Techniques", chapter 6.
    """
    own, small, large = (
        finals(results, name) for name in (arm, REFERENCE, BASELINE)
    )
    seeds = [s for s in own if s in small and s in large]
    gaps = [small[s] - large[s] for s in seeds]
    gains = [own[s] - large[s] for s in seeds]
    if not seeds or statistics.fmean(gaps) <= 0:
        return Stat(math.nan, math.nan, len(seeds))
    gap = statistics.fmean(gaps)
    share = statistics.fmean(gains) / gap
    rest = [gain - share * one for gain, one in zip(gains, gaps, strict=True)]
    return Stat(share, Stat.of(rest).std / gap, len(seeds))


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


def survivors_of_many(p_values, level=0.05):
    """How many of many tests stand when it counts how many were made.

    Reference: Holm 1979, "A simple sequentially rejective multiple test
    procedure".
    """
    tests = sorted(p_values)
    for place, p in enumerate(tests):
        if not p <= level / (len(tests) - place):
            return place
    return len(tests)


@dataclasses.dataclass(frozen=True)
class Curve:
    """One arm's course, the mean over seeds; accuracies in per cent."""

    name: str
    title: str
    seeds: int
    epoch: np.ndarray
    updates: np.ndarray
    accuracy: np.ndarray
    spread: np.ndarray
    distance: np.ndarray


def mean_curves(results):
    """The `Curve` of every arm that has something to show.

    Finished runs are averaged; an arm without one shows what its unfinished
    runs have in common. Failed runs are left out.
    """
    curves = []
    for arm in results.arms:
        runs = results.runs_of(arm["name"])
        finished = [run for run in runs if run.status == "finished"]
        chosen = finished or [run for run in runs if run.status == "running"]
        curve = mean_curve(arm, [run for run in chosen if run.epochs])
        if curve is not None:
            curves.append(curve)
    return curves


def mean_curve(arm, runs):
    """The mean of `runs` over the epochs that all of them recorded."""
    by_epoch = [
        {r.epoch: r for r in run.epochs if math.isfinite(r.objective)}
        for run in runs
    ]
    common = sorted(set.intersection(*map(set, by_epoch))) if runs else []
    if not common:
        return None

    def values(of):
        return np.array([[of(run[e]) for e in common] for run in by_epoch])

    accuracy = 100 * values(lambda record: record.objective)
    distance = values(lambda r: r.logs.get("weight_distance", math.nan))
    return Curve(
        name=arm["name"],
        title=arm["title"],
        seeds=len(runs),
        epoch=np.array(common),
        updates=values(lambda record: record.updates).mean(axis=0),
        accuracy=accuracy.mean(axis=0),
        spread=accuracy.std(axis=0, ddof=min(1, len(runs) - 1)),
        distance=distance.mean(axis=0),
    )
