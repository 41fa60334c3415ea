"""The figures of a comparison, one function each."""

import math

import numpy as np

from keras_lbreg.experiments.arms import BASELINE, REFERENCE
from keras_lbreg.experiments.curves import mean_curves
from keras_lbreg.experiments.plot_style import INK, arm_colors, plot_style
from keras_lbreg.experiments.statistics import arm_statistics

# Inches. At 150 dots per inch wider than a README's column, so it stays sharp.
PANEL_WIDTH = 5.6
HEIGHT = 5.2
MOST_IN_A_PANEL = 6


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
        figure = _figure(1.4 * PANEL_WIDTH, 1.1 + 0.42 * len(rows))
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
            axis.barh(position, share, 0.62, color=colors[row.arm][0])
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
        axis.set_xlabel("share of the gap closed, %")
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
    thin lines are least-squares fits of `a + b log t`.

    Args:
        results: A `Results` with at least one recorded epoch.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with plot_style():
        figure, panels = _panels(results, "updates")
        for axis, curves in panels:
            for curve, color, dashes in curves:
                _draw_distance(axis, curve, color, dashes)
            _log_axis(axis)
            _legend(axis)
        panels[0][0].set_ylabel("distance from the start, ‖w − w₀‖")
    return figure


def _draw_distance(axis, curve, color, dashes):
    updates, distance = curve.updates, curve.distance
    seen = np.isfinite(distance)
    if not seen.any():
        return
    label = curve.title
    if seen.sum() > 1:
        slope, start = np.polyfit(np.log(updates[seen]), distance[seen], 1)
        line = start + slope * np.log(updates)
        axis.plot(updates, line, color=color, linewidth=1.0, alpha=0.6)
        label = f"{curve.title}  (b = {slope:.2g})"
    axis.plot(
        updates,
        distance,
        color=color,
        linestyle=dashes,
        marker="o" if dashes == "-" else "s",
        markersize=2.5,
        linewidth=0.0,
        label=label,
    )


def _plot_accuracy(results, field, label):
    with plot_style():
        figure, panels = _panels(results, label)
        for axis, curves in panels:
            for curve, color, dashes in curves:
                _draw_accuracy(axis, curve, field, color, dashes)
            spans = [getattr(curve, field) for curve, _, _ in curves]
            if _spread_out(spans):
                _log_axis(axis)
            _legend(axis)
        everything = [curve for _, curves in panels for curve, _, _ in curves]
        axis.set_ylim(*_zoom(everything))
        panels[0][0].set_ylabel("validation accuracy, %")
    return figure


def _draw_accuracy(axis, curve, field, color, dashes):
    x, final = getattr(curve, field), curve.accuracy[-1]
    if color == INK:
        axis.axhline(final, color=INK, linestyle=(0, (5, 4)), linewidth=1.0)
    axis.plot(
        x,
        curve.accuracy,
        color=color,
        linestyle=dashes,
        label=f"{final:.1f}  {curve.title}",
    )
    axis.fill_between(
        x,
        curve.accuracy - curve.spread,
        curve.accuracy + curve.spread,
        color=color,
        alpha=0.14,
        linewidth=0,
    )


def _panels(results, xlabel):
    """Return a figure and, per panel, its axis and `(curve, color, dashes)`.

    Few arms share one panel. Many are shown in two: the techniques added one
    after another, as in the columns of Hoffer et al., and all other arms.
    Both have the small and the large batch.
    """
    curves = mean_curves(results)
    colors = arm_colors(results.arms)
    groups = _groups(results.arms)
    figure = _figure(PANEL_WIDTH * max(len(groups), 1.4), HEIGHT)
    axes = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    panels = []
    for axis, (title, names) in zip(axes, groups, strict=True):
        axis.set(title=title, xlabel=xlabel)
        chosen = [curve for curve in curves if curve.name in names]
        panels.append((axis, [(c, *colors[c.name]) for c in chosen]))
    return figure, panels


def _groups(arms):
    if len(arms) <= MOST_IN_A_PANEL:
        return [("", [arm["name"] for arm in arms])]
    columns = ("reference", "cumulative")
    return [
        (
            "Added one after another",
            [arm["name"] for arm in arms if arm["group"] in columns],
        ),
        (
            "Each alone on top of LR, and all together",
            [arm["name"] for arm in arms if arm["group"] != "cumulative"],
        ),
    ]


def _figure(width, height):
    # Not pyplot: no window, no global list of figures.
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def _spread_out(values):
    ends = [value[-1] for value in values if len(value)]
    return max(ends) > 3 * min(ends)


def _zoom(curves):
    """Return limits that show the final differences, not the first epochs."""
    finals = [curve.accuracy[-1] for curve in curves]
    top = max(float(np.max(c.accuracy + c.spread)) for c in curves)
    room = max(top - min(finals), 2.0)
    lowest = min(float(np.min(curve.accuracy)) for curve in curves)
    return max(lowest - 0.05 * room, min(finals) - 1.6 * room), top + 0.1 * room


def _log_axis(axis):
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:,.10g}")


def _legend(axis):
    """Add the legend under the axis, highest final value first."""
    handles, labels = axis.get_legend_handles_labels()
    order = sorted(
        range(len(handles)), key=lambda i: -handles[i].get_ydata()[-1]
    )
    axis.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.13),
        ncols=2 if len(order) > 3 else 1,
        handlelength=1.5,
        columnspacing=1.5,
        borderaxespad=0.0,
    )
