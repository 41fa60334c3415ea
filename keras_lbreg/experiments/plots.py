"""The figures of a comparison, one function each."""

import math

import numpy as np

from keras_lbreg.experiments.arms import BASELINE, REFERENCE
from keras_lbreg.experiments.plot_layout import (
    PANEL_WIDTH,
    legend,
    log_axis,
    new_figure,
    new_panels,
    spread_out,
    zoom,
)
from keras_lbreg.experiments.plot_style import INK, arm_colors, plot_style
from keras_lbreg.experiments.statistics import arm_statistics

# Shares of the gap in per cent that a figure shows: an arm that diverged would
# leave the others no room.
SHOWN = (-100, 300)


def plot_accuracy_by_epoch(results):
    """Draw validation accuracy against passes over the training data.

    Args:
        results: A `Results` with at least one recorded epoch.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    return _plot_accuracy(results, "epoch", "epoch")


def plot_accuracy_by_time(results):
    """Draw validation accuracy against seconds of training.

    Args:
        results: A `Results` with at least one recorded epoch.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    return _plot_accuracy(results, "wall_time", "seconds of training")


def plot_gap_closed(results):
    """Draw the share of the large batch's gap that each arm closes.

    Args:
        results: A `Results` with finished runs of the small batch, the large
            batch and one more arm, and a gap between the first two.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    rows = gap_closed_rows(results)
    colors = arm_colors(results.arms)
    with plot_style():
        figure = new_figure(1.4 * PANEL_WIDTH, 1.1 + 0.42 * len(rows))
        axis = figure.subplots()
        axis.grid(False)
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        for place, text in ((0, "large batch"), (100, "small batch")):
            axis.axvline(place, color=INK, linewidth=1.0, zorder=0)
            axis.annotate(
                text,
                (place, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=10,
            )
        for position, row in enumerate(rows):
            share, std = 100 * row.closed.mean, 100 * row.closed.std
            axis.barh(
                position,
                share,
                0.62,
                color=colors[row.arm][0],
                alpha=0.55 if row.group == "control" else 1.0,
            )
            if std >= 0:
                axis.errorbar(
                    share,
                    position,
                    xerr=std,
                    color=INK,
                    capsize=3,
                    elinewidth=1.2,
                )
        axis.set_yticks(range(len(rows)), [_bar_label(row) for row in rows])
        axis.invert_yaxis()
        axis.margins(x=0.08)
        label = "share of the gap closed, %"
        left, right = axis.get_xlim()
        low, high = SHOWN
        if left < low or right > high:
            axis.set_xlim(max(left, low), min(right, high))
            label += "\n(long bars are cut off, their numbers are not)"
        axis.set_xlabel(label)
    return figure


def gap_closed_rows(results):
    """Return the `ArmStatistics` that `plot_gap_closed` shows."""
    return [
        row
        for row in arm_statistics(results)
        if row.arm not in (REFERENCE, BASELINE)
        and math.isfinite(row.closed.mean)
    ]


def _bar_label(row):
    return f"{row.title}   {100 * row.closed.mean:.0f} %"


def plot_weight_distance(results):
    """Draw how far the weights have travelled, against updates.

    Hoffer et al. see a random walk on a random potential: the distance grows
    as the logarithm of the number of updates `t`, a straight line here. The
    thin lines are least-squares fits of `a + b log t` until the learning rate
    first falls.

    Args:
        results: A `Results` with at least one recorded epoch.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with plot_style():
        figure, panels = new_panels(results, "updates")
        milestones = {arm["name"]: arm["milestones"] for arm in results.arms}
        for axis, curves in panels:
            for curve, color, dashes in curves:
                drops = milestones[curve.name]
                _draw_distance(axis, curve, color, dashes, drops)
            log_axis(axis)
            legend(axis)
        panels[0][0].set_ylabel("distance from the start, ‖w − w₀‖")
    return figure


def _draw_distance(axis, curve, color, dashes, milestones):
    seen = np.isfinite(curve.distance)
    if not seen.any():
        return
    updates, distance = curve.updates[seen], curve.distance[seen]
    label = curve.title
    # A smaller learning rate all but stops the walk: fit what lies before.
    ends = milestones[0][0] if milestones else math.inf
    fitted = updates[curve.epoch[seen] <= ends]
    if len(fitted) > 2:
        slope, start = np.polyfit(np.log(fitted), distance[: len(fitted)], 1)
        line = start + slope * np.log(fitted)
        axis.plot(fitted, line, color=color, linewidth=1.0, alpha=0.6)
        label = f"{curve.title}  (b = {slope:.2g})"
    axis.plot(
        updates,
        distance,
        color=color,
        marker="o" if dashes == "-" else "s",
        markersize=2.5,
        linewidth=0.0,
        label=label,
    )


def _plot_accuracy(results, field, label):
    with plot_style():
        figure, panels = new_panels(results, label)
        for axis, curves in panels:
            for curve, color, dashes in curves:
                _draw_accuracy(axis, curve, field, color, dashes)
            spans = [getattr(curve, field) for curve, _, _ in curves]
            if spread_out(spans):
                log_axis(axis)
            elif field == "epoch":
                axis.xaxis.get_major_locator().set_params(integer=True)
            legend(axis)
        everything = [curve for _, curves in panels for curve, _, _ in curves]
        axis.set_ylim(*zoom(everything))
        figure.suptitle(_setting(results), x=0.01, ha="left", fontsize=11)
        panels[0][0].set_ylabel("validation accuracy, %")
    return figure


def _setting(results):
    """Return what a picture without its page needs to be understood."""
    config, seeds = results.manifest["config"], len(results.manifest["seeds"])
    return (
        f"{results.manifest['dataset']['title']}: small batch "
        f"{config['small_batch_size']:,}, large batch "
        f"{config['batch_size']:,}"
        + (f", mean of {seeds} seeds" if seeds > 1 else ", one seed")
    )


def _draw_accuracy(axis, curve, field, color, dashes):
    x, final = getattr(curve, field), curve.accuracy[-1]
    if color == INK:
        axis.axhline(final, color=INK, linestyle=(0, (5, 4)), linewidth=1.0)
    axis.plot(
        x,
        curve.accuracy,
        color=color,
        linestyle=dashes,
        # A single epoch makes no line.
        marker="o" if len(x) == 1 else None,
        label=f"{final:.1f}  {curve.title}",
    )
    axis.fill_between(
        x,
        curve.accuracy - curve.spread,
        curve.accuracy + curve.spread,
        color=color,
        alpha=0.1,
        linewidth=0,
    )
