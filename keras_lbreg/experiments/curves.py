"""Mean curves over seeds, as the plots draw them."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Curve:
    """One arm's course, averaged over seeds.

    Args:
        name: Name of the arm.
        title: Title of the arm.
        seeds: Number of runs behind the curve.
        epoch: Epochs, an array of shape `(points,)` like all that follow.
        updates: Optimizer updates.
        wall_time: Seconds of training, mean over seeds.
        accuracy: Validation accuracy in percent, mean over seeds.
        spread: Its sample standard deviation; zeros for one seed.
        distance: Distance of the weights from where they began, mean.

    Example:

    >>> curve = mean_curves(read_results("runs/digits"))[0]
    >>> plt.plot(curve.epoch, curve.accuracy)

    Reference: `keras_lbreg.experiments.plots` draws them.
    """

    name: str
    title: str
    seeds: int
    epoch: np.ndarray
    updates: np.ndarray
    wall_time: np.ndarray
    accuracy: np.ndarray
    spread: np.ndarray
    distance: np.ndarray


def mean_curves(results):
    """Return the `Curve` of every arm that has something to show.

    Finished runs are averaged. An arm without one shows what its unfinished
    runs have in common, so that a report made mid-run has curves already.
    Failed runs are left out: their last epochs are not a result.
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
    """Return the mean of `runs` over the epochs that all of them recorded."""
    by_epoch = [
        {r.epoch: r for r in run.epochs if math.isfinite(r.val_accuracy)}
        for run in runs
    ]
    common = sorted(set.intersection(*map(set, by_epoch))) if runs else []
    if not common:
        return None

    def values(field):
        return np.array(
            [[getattr(run[e], field) for e in common] for run in by_epoch]
        )

    accuracy = 100 * values("val_accuracy")
    return Curve(
        name=arm["name"],
        title=arm["title"],
        seeds=len(runs),
        epoch=np.array(common),
        updates=values("updates").mean(axis=0),
        wall_time=values("wall_time").mean(axis=0),
        accuracy=accuracy.mean(axis=0),
        spread=accuracy.std(axis=0, ddof=min(1, len(runs) - 1)),
        distance=values("weight_distance").mean(axis=0),
    )
