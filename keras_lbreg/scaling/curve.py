"""Where a workload stops scaling: steps and time to a target by batch size."""

import dataclasses
import math
import statistics

from keras_lbreg.comparison.arms import REFERENCE, SCALING
from keras_lbreg.formatting import (
    MISSING,
    format_count,
    format_duration,
    markdown_table,
)
from keras_lbreg.plot_style import (
    GREY,
    INK,
    PALETTE,
    PANEL_HEIGHT,
    Panel,
    Plot,
    log_axis,
)

# Trials at each batch size.
TRIALS = 8

# Seeds of the small batch and of each batch size's best rate.
SEEDS, FIRST_SEED = 2, 300

# The target is the small batch's objective less this part of what it learns:
# all of it is reached by half of the seeds, at best.
TOLERANCE = 0.02

# Of an epoch's record, in the order of a `Point`.
MEASURES = ("updates", "epoch", "time")

AXES = {"steps": "Steps", "time": "Training time"}
COLUMNS = ("batch", "steps to target", "epochs to target", "time to target")


@dataclasses.dataclass(frozen=True)
class Point:
    """Means over the seeds that reached the target; `nan` where none did."""

    batch_size: int
    steps: float
    epochs: float
    time: float


@dataclasses.dataclass(frozen=True)
class Curve:
    """Steps to a target by batch size, each at its own best learning rate.

    Args:
        target: The objective that counts as reached.
        points: A `Point` a batch size; the first is the small batch.
        noise_scale: The gradient noise scale, or `None`.

    Example:

    >>> curve = keras_lbreg.scale_up(workload, 512, curve=[64, 256]).curve
    >>> print(curve)

    Reference:

    - [Shallue et al., 2019](https://arxiv.org/abs/1811.03600), Figure 1
    """

    target: float
    points: tuple
    noise_scale: float | None = None

    def __str__(self):
        rows = [
            (
                format_count(p.batch_size),
                format_count(p.steps),
                MISSING if math.isnan(p.epochs) else f"{p.epochs:.1f}",
                format_duration(p.time),
            )
            for p in self.points
        ]
        return f"{self.text()}\n\n{markdown_table(COLUMNS, rows)}"

    def text(self):
        """Up to which batch a larger one saves steps in proportion."""
        good = [p for p in self.points if math.isfinite(p.steps)]
        if len(good) < 2:
            return "No batch but the small one reaches the target."
        first = good[0]
        # Steps times batch: 1 where scaling is perfect.
        costs = [
            (p, p.steps * p.batch_size / (first.steps * first.batch_size))
            for p in good[1:]
        ]
        text = "No larger batch saves steps in proportion"
        if perfect := [p.batch_size for p, cost in costs if cost <= 1.25]:
            text = f"Up to batch {max(perfect):,} steps fall in proportion"
        last, cost = costs[-1]
        text += (
            f"; at batch {last.batch_size:,} the target takes {cost:.1f} times "
            f"the samples of the small batch, and "
            f"{first.steps / last.steps:.1f} times fewer steps."
        )
        missed = [f"{p.batch_size:,}" for p in self.points if p not in good]
        if missed:
            names = ", ".join(missed)
            text += f" In this many epochs batch {names} does not reach it."
        return text

    def plot(self):
        """The `Plot`: measured, perfect scaling, and the noise scale."""
        return Plot(
            name="curve",
            title="Where it stops scaling",
            caption=(
                "Steps, and seconds of training, until the target is reached, "
                "at the best learning rate found for each batch. The dashed "
                "line is perfect scaling: twice the batch, half the steps. The "
                "dotted one marks the gradient noise scale."
            ),
            panels=tuple(
                Panel(
                    f"{title} to the target",
                    lambda axis, key=key: self._draw(axis, key),
                    PANEL_HEIGHT,
                )
                for key, title in AXES.items()
            ),
            setting=f"target {self.target:.4g}",
        )

    def _draw(self, axis, key):
        sizes = [p.batch_size for p in self.points]
        values = [getattr(p, key) for p in self.points]
        axis.plot(sizes, values, marker="o", color=PALETTE[0], label="measured")
        if key == "steps":
            perfect = [values[0] * sizes[0] / size for size in sizes]
            axis.plot(sizes, perfect, "--", color=INK, label="perfect scaling")
        if self.noise_scale:
            label = f"noise scale, {self.noise_scale:,.0f}"
            axis.axvline(
                self.noise_scale, linestyle=":", color=GREY, label=label
            )
        for which in "xy":
            log_axis(axis, which)
        axis.set_xlabel("batch size")
        axis.set_ylabel({"steps": "steps", "time": "seconds"}[key])
        axis.legend()


def measure_curve(ladder, batch_sizes):
    """The `Curve` of a ladder's workload: step 2, small, for each batch."""
    regime = ladder.workload.regime
    small = ladder.compare("curve/small", [REFERENCE], SEEDS, FIRST_SEED)
    runs = [run for run in small.runs if run.status == "finished"]
    finals = statistics.fmean(run.final for run in runs)
    firsts = statistics.fmean(run.epochs[0].objective for run in runs)
    target = finals - TOLERANCE * (finals - firsts)
    points = [point(small, regime.base_batch_size, runs, target)]
    for size in batch_sizes:
        if size <= regime.base_batch_size:
            continue
        best = ladder.search(f"curve/{size}-search", TRIALS, size)
        arm = dataclasses.replace(
            best[0], title="Best rate", name="rate", batch_size="large"
        )
        results = ladder.compare(
            f"curve/{size}", [arm, SCALING], SEEDS, FIRST_SEED, batch_size=size
        )
        by_arm = [results.runs_of(name) for name in results.arm_names]
        found = [point(results, size, runs, target) for runs in by_arm]
        reached = [p for p in found if math.isfinite(p.steps)]
        points.append(min(reached or found, key=lambda p: p.steps))
    noise = ladder.state["noise"].get("noise_scale")
    return Curve(target, tuple(points), noise)


def point(results, batch_size, runs, target):
    """A `Point` from the runs of one arm."""
    hits = [reaching(results, run, target) for run in runs]
    means = [statistics.fmean(x) for x in zip(*hits, strict=True)]
    return Point(batch_size, *means)


def reaching(results, run, target):
    """Steps, epochs and seconds until the target, between two epochs."""
    signed = [results.sign * (e.objective - target) for e in run.epochs]
    good = [n for n, value in enumerate(signed) if value >= 0]
    if run.status != "finished" or not good:
        return (math.nan,) * 3
    before, after = run.epochs[max(0, good[0] - 1)], run.epochs[good[0]]
    part = 1.0
    if before is not after:
        gained = after.objective - before.objective
        part = (target - before.objective) / gained
    return tuple(
        getattr(before, name)
        + part * (getattr(after, name) - getattr(before, name))
        for name in MEASURES
    )
