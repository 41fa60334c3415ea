"""Numbers of the table and the plots, out of results."""

import dataclasses
import math
import statistics

from keras_lbreg.experiments.arms import BASELINE, REFERENCE

# Deviations below this are errors of rounding.
ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Stat:
    """Mean and sample standard deviation over seeds.

    Args:
        mean: The mean, `nan` where there is no value.
        std: The sample standard deviation (`n - 1`), `nan` below two values.
        n: Number of values.

    Example:

    >>> Stat.of([1.0, 2.0, 3.0])
    Stat(mean=2.0, std=1.0, n=3)

    Reference: `statistics.stdev`.
    """

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


@dataclasses.dataclass(frozen=True)
class ArmStatistics:
    """What the runs of one arm come to.

    Accuracies and gaps are fractions, not per cent. Only finished runs count.

    Args:
        arm: Name of the arm.
        title: Its title.
        group: Its group, see `Arm`.
        finished: Number of finished runs.
        failed: Reasons of the failed runs, by seed.
        final: Validation accuracy after the last epoch.
        best: Best validation accuracy of each run.
        gap: Final accuracy of the small batch minus this arm's, seed by seed.
        closed: Share of the large batch's gap that the arm closes.
        updates: Optimizer updates of a run.
        wall_time: Seconds of training of a run.
        reached: Number of runs that reached the small batch's accuracy.
        time_to_reference: Seconds until they did.
        epochs_to_reference: Epochs until they did.
        updates_to_reference: Updates until they did.

    Example:

    >>> arm_statistics(results)[1].gap.mean
    0.042

    Reference: `arm_statistics` defines each number.
    """

    arm: str
    title: str
    group: str
    finished: int
    failed: dict
    final: Stat
    best: Stat
    gap: Stat
    closed: Stat
    updates: Stat
    wall_time: Stat
    reached: int
    time_to_reference: Stat
    epochs_to_reference: Stat
    updates_to_reference: Stat


def arm_statistics(results):
    """The statistics of every arm, in the manifest's order.

    With the final validation accuracies `a_s` of an arm, `S_s` of the small
    batch and `L_s` of the large one, for each seed `s` that finished in all of
    them,

    ```
    gap_s   = S_s - a_s                          mean and std over seeds
    closed  = mean(a_s - L_s) / mean(S_s - L_s)
    its std = std(a_s - L_s - closed * (S_s - L_s)) / |mean(S_s - L_s)|
    ```

    Pairing by seed takes out what a seed does to all arms alike (first
    weights, order of the samples). The share is a ratio of means, since a
    ratio for each seed explodes where one seed's gap is small; its deviation
    is the usual linearisation of a ratio of paired means. It is `nan` where
    the large batch has no gap.

    "Reached the small batch's accuracy" is the first recorded epoch whose
    validation accuracy is at least the mean final accuracy of the small
    batch's finished runs.

    Args:
        results: A `Results`.

    Returns:
        A list of `ArmStatistics`.

    Example:

    >>> for row in arm_statistics(read_results("runs/digits")):
    ...     print(row.title, row.final.mean)

    Reference: the ratio estimator is found in Cochran, "Sampling
    Techniques", chapter 6.
    """
    finished = {name: finals(results, name) for name in results.arm_names}
    small = finished.get(REFERENCE, {})
    large = finished.get(BASELINE, {})
    level = Stat.of(small.values()).mean
    return [
        one_arm(results, arm, finished[arm["name"]], small, large, level)
        for arm in results.arms
    ]


def one_arm(results, arm, own, small, large, level):
    runs = [r for r in results.runs_of(arm["name"]) if r.status == "finished"]
    hits = [e for e in (first_reaching(r, level) for r in runs) if e]
    return ArmStatistics(
        arm=arm["name"],
        title=arm["title"],
        group=arm["group"],
        finished=len(runs),
        failed={
            r.seed: r.reason
            for r in results.runs_of(arm["name"])
            if r.status == "failed"
        },
        final=Stat.of(own.values()),
        best=Stat.of(r.best_val_accuracy for r in runs),
        gap=Stat.of(small[s] - own[s] for s in own if s in small),
        closed=share_closed(own, small, large),
        updates=Stat.of(r.updates for r in runs),
        wall_time=Stat.of(r.wall_time for r in runs),
        reached=len(hits),
        time_to_reference=Stat.of(e.wall_time for e in hits),
        epochs_to_reference=Stat.of(e.epoch for e in hits),
        updates_to_reference=Stat.of(e.updates for e in hits),
    )


def finals(results, arm):
    """Final validation accuracy by seed of the arm's finished runs."""
    return {
        run.seed: run.final_val_accuracy
        for run in results.runs_of(arm)
        if run.status == "finished"
    }


def first_reaching(run, level):
    """The first record with at least this validation accuracy, or `None`."""
    return next((e for e in run.epochs if e.val_accuracy >= level), None)


def share_closed(own, small, large):
    """The share of the gap closed, see `arm_statistics`."""
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

    True where the lower end of the mean's 95 % confidence interval,

    ```
    mean - t * std / sqrt(n),    t the 97.5 % quantile of Student's law
    ```

    with `n - 1` degrees of freedom, lies above zero: `t` is 12.7 for two
    values, 4.3 for three, 2.8 for five. Of a single value nothing can be
    said, nor of two that are equal, as accuracies of few samples may be: the
    answer is `False`.

    Args:
        differences: A `Stat`.

    Example:

    >>> exceeds_chance(Stat.of([0.04, 0.05, 0.06]))
    True

    Reference: Student 1908, "The probable error of a mean".
    """
    equal_pair = differences.n == 2 and differences.std < ROUNDING
    if differences.n < 2 or equal_pair:
        return False
    # Not above: SciPy takes longer to import than all the rest.
    from scipy.special import stdtrit

    quantile = stdtrit(differences.n - 1, 0.975)
    error = differences.std / math.sqrt(differences.n)
    return bool(differences.mean > quantile * error)


def gap_is_resolved(results):
    """Whether the large batch's gap stands out of the noise between seeds.

    Args:
        results: A `Results`.

    Example:

    >>> gap_is_resolved(results)
    True

    Reference: `exceeds_chance`.
    """
    small, large = finals(results, REFERENCE), finals(results, BASELINE)
    gap = Stat.of(small[s] - large[s] for s in small if s in large)
    return exceeds_chance(gap)
