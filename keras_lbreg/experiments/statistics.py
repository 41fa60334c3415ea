"""What a comparison says: means, spreads and shares of the gap."""

import dataclasses
import math
import statistics

REFERENCE = "small_batch"
BASELINE = "large_batch"


@dataclasses.dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over seeds.

    Args:
        mean: The mean.
        std: The sample standard deviation, `None` for a single value.
        count: Number of values.

    Example:

    >>> Spread.of([1.0, 3.0])
    Spread(mean=2.0, std=1.4142135623730951, count=2)

    Reference: `ArmStatistics` is made of them.
    """

    mean: float
    std: float | None
    count: int

    @classmethod
    def of(cls, values):
        """The spread of `values`, or `None` where there are none."""
        values = list(values)
        if not values:
            return None
        std = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.fmean(values), std, len(values))


@dataclasses.dataclass(frozen=True)
class ArmStatistics:
    """One row of the table: an arm over its finished runs.

    Accuracies are validation accuracies in percent.

    Args:
        name: Name of the arm.
        title: Title of the arm.
        finished: Number of finished runs.
        failed: The failed `RunResult`s.
        missing: Number of runs that have not ended.
        final: `Spread` of the accuracy after the last epoch.
        best: `Spread` of the best accuracy of a run.
        gap: `Spread` of the small batch's final accuracy minus the arm's, in
            points, seed by seed.
        closed: `Spread` of the share of the gap closed, in percent. With
            `A_s` the arm's and `G_s` the small batch's final accuracy minus
            the large batch's, at seed `s`: `R = mean(A) / mean(G)`, and the
            spread is that of `(A_s - R G_s) / mean(G)`, the first-order
            propagation for paired values. `None` where there is no gap to
            close, see `Comparison.gap_shows`.
        updates: Optimizer updates of one run.
        wall_time: `Spread` of the seconds of training.
        reached: Number of runs that reached the small batch's mean final
            accuracy.
        reach_time: `Spread` of the seconds until then, over these runs.
        reach_epochs: `Spread` of the epochs until then.
        reach_updates: `Spread` of the updates until then.

    Example:

    >>> compute_statistics(results).arms[0].final.mean
    97.3

    Reference: share of the generalization gap, Hoffer et al. 2017,
    https://arxiv.org/abs/1705.08741
    """

    name: str
    title: str
    finished: int
    failed: tuple
    missing: int
    final: Spread | None
    best: Spread | None
    gap: Spread | None
    closed: Spread | None
    updates: int | None
    wall_time: Spread | None
    reached: int
    reach_time: Spread | None
    reach_epochs: Spread | None
    reach_updates: Spread | None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The statistics of all arms.

    Args:
        arms: `ArmStatistics` in the order of the manifest.
        gap: `Spread` of the small batch's final accuracy minus the large
            batch's, in points, or `None` if one of them has not run.

    Example:

    >>> compute_statistics(results).gap.mean
    4.2

    Reference: `compute_statistics`.
    """

    arms: tuple
    gap: Spread | None

    @property
    def gap_shows(self):
        """Whether the large batch is worse by more than chance.

        The mean gap must exceed two standard errors; with a single seed there
        is no measure of chance, and any positive gap counts.
        """
        if self.gap is None or self.gap.mean <= 0:
            return False
        if self.gap.std is None:
            return True
        return self.gap.mean > 2 * self.gap.std / math.sqrt(self.gap.count)

    def of(self, name):
        """The `ArmStatistics` of one arm, or `None`."""
        return next((arm for arm in self.arms if arm.name == name), None)


def compute_statistics(results):
    """Compute the table of a comparison from its recorded runs.

    Only finished runs count. Differences between arms are taken seed by seed,
    over the seeds that both have finished.

    Args:
        results: A `Results`.

    Returns:
        A `Comparison`.

    Example:

    >>> comparison = compute_statistics(read_results("runs/digits"))

    Reference: `ArmStatistics` and `Comparison` define every number.
    """
    finals = {
        name: _final_by_seed(results.runs_of(name))
        for name in {*results.arm_names, REFERENCE, BASELINE}
    }
    small, large = finals[REFERENCE], finals[BASELINE]
    target = statistics.fmean(small.values()) if small else None
    comparison = Comparison((), Spread.of(_differences(small, large)))
    arms = []
    for arm in results.arms:
        own = finals[arm["name"]]
        closed = None
        if comparison.gap_shows:
            closed = _share_closed(own, small, large)
        arms.append(_arm_statistics(results, arm, own, small, closed, target))
    return dataclasses.replace(comparison, arms=tuple(arms))


def _arm_statistics(results, arm, own, small, closed, target):
    runs = results.runs_of(arm["name"])
    finished = [run for run in runs if run.status == "finished"]
    failed = tuple(run for run in runs if run.status == "failed")
    missing = len(results.manifest["seeds"]) - len(finished) - len(failed)
    reaching = [_first_reaching(run, target) for run in finished]
    reaching = [record for record in reaching if record is not None]
    return ArmStatistics(
        name=arm["name"],
        title=arm["title"],
        finished=len(finished),
        failed=failed,
        missing=missing,
        final=Spread.of(own.values()),
        best=Spread.of(100 * run.best_val_accuracy for run in finished),
        gap=Spread.of(_differences(small, own)),
        closed=closed,
        updates=max((run.updates for run in finished), default=None),
        wall_time=Spread.of(run.wall_time for run in finished),
        reached=len(reaching),
        reach_time=Spread.of(record.wall_time for record in reaching),
        reach_epochs=Spread.of(record.epoch for record in reaching),
        reach_updates=Spread.of(record.updates for record in reaching),
    )


def _final_by_seed(runs):
    return {
        run.seed: 100 * run.final_val_accuracy
        for run in runs
        if run.status == "finished" and math.isfinite(run.final_val_accuracy)
    }


def _differences(higher, lower):
    return [higher[seed] - lower[seed] for seed in higher if seed in lower]


def _share_closed(own, small, large):
    seeds = [seed for seed in own if seed in small and seed in large]
    gains = [own[seed] - large[seed] for seed in seeds]
    gaps = [small[seed] - large[seed] for seed in seeds]
    if not seeds or statistics.fmean(gaps) <= 0:
        return None
    gap = statistics.fmean(gaps)
    share = statistics.fmean(gains) / gap
    rests = [
        (gain - share * whole) / gap
        for gain, whole in zip(gains, gaps, strict=True)
    ]
    std = 100 * statistics.stdev(rests) if len(rests) > 1 else None
    return Spread(100 * share, std, len(seeds))


def _first_reaching(run, target):
    if target is None:
        return None
    return next((r for r in run.epochs if 100 * r.val_accuracy >= target), None)
