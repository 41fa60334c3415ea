"""What the paper reports of its curves, by pairs of seeds."""

import dataclasses
import statistics

from keras_lbreg.comparison.arms import BASELINE
from keras_lbreg.comparison.statistics import Stat, first_reaching
from recipes.study.statistics import finished_runs, verdict


def mean_gap(results, arm, other=BASELINE):
    """Validation accuracy minus another arm's, averaged over the epochs.

    ```
    gap = mean over epochs of (accuracy of arm - accuracy of other)
    ```

    in points of per cent, of runs of the same seed; the statistic is over the
    seeds.

    Args:
        results: A `Results`.
        arm: Name of the arm.
        other: Name of the arm to compare with.

    Returns:
        A `Stat`.

    Example:

    >>> mean_gap(study.results("digits_batch_1024"), "dreg").mean

    Reference: section 4 of https://arxiv.org/abs/2011.08968 reports it.
    """
    ours, others = (
        finished_runs(results, arm),
        finished_runs(results, other),
    )
    gaps = []
    for seed in ours.keys() & others.keys():
        theirs = {e.epoch: e.objective for e in others[seed].epochs}
        gaps.append(
            100
            * statistics.fmean(
                e.objective - theirs[e.epoch]
                for e in ours[seed].epochs
                if e.epoch in theirs
            )
        )
    return Stat.of(gaps)


@dataclasses.dataclass(frozen=True)
class Reached:
    """When the runs of an arm reached the baseline's best accuracy.

    Args:
        epochs: The first epoch that did, over the runs that did.
        count: Number of runs that did.
        runs: Number of finished runs of the arm and the baseline.

    Example:

    >>> reached(results, "dreg").epochs.mean

    Reference: `reached`.
    """

    epochs: Stat
    count: int
    runs: int


def reached(results, arm):
    """When an arm reached the best accuracy of the baseline of its seed.

    Args:
        results: A `Results`.
        arm: Name of the arm; for the baseline, when it was at its best.

    Returns:
        A `Reached`.

    Example:

    >>> reached(results, "dreg").count

    Reference: section 4 of https://arxiv.org/abs/2011.08968 reports it.
    """
    ours = finished_runs(results, arm)
    baseline = finished_runs(results, BASELINE)
    seeds = ours.keys() & baseline.keys()
    firsts = [
        first_reaching(results, ours[seed], baseline[seed].best)
        for seed in seeds
    ]
    epochs = [first.epoch for first in firsts if first is not None]
    return Reached(Stat.of(epochs), len(epochs), len(seeds))


def beyond_chance(stat):
    """Whether paired differences differ from zero by more than chance."""
    return bool(verdict(stat))
