"""Figures, panels, axes and legends, as all plots arrange them."""

import numpy as np

from keras_lbreg.experiments.curves import mean_curves
from keras_lbreg.experiments.plot_style import arm_colors

# Inches. At 150 dots per inch wider than a README's column, so it stays sharp.
PANEL_WIDTH = 5.6
HEIGHT = 5.2
MOST_IN_A_PANEL = 6


def new_panels(results, xlabel):
    """Return a figure and, per panel, its axis and `(curve, color, dashes)`.

    Few arms share one panel. Many are shown in two: the techniques added one
    after another, as in the columns of Hoffer et al., and all other arms.
    Both have the small and the large batch.
    """
    colors = arm_colors(results.arms)
    drawn = [(curve, *colors[curve.name]) for curve in mean_curves(results)]
    contents = []
    for title, names in arm_groups(results.arms):
        chosen = [entry for entry in drawn if entry[0].name in names]
        if chosen:
            contents.append((title, chosen))
    figure = new_figure(PANEL_WIDTH * max(len(contents), 1.4), HEIGHT)
    axes = figure.subplots(1, len(contents), sharey=True, squeeze=False)[0]
    for axis, (title, _) in zip(axes, contents, strict=True):
        axis.set(title=title, xlabel=xlabel)
    return figure, [
        (axis, chosen) for axis, (_, chosen) in zip(axes, contents, strict=True)
    ]


def arm_groups(arms):
    """Return pairs of a panel's title and the names of its arms."""
    if len(arms) <= MOST_IN_A_PANEL:
        return [("", [arm["name"] for arm in arms])]
    columns = ("reference", "cumulative")
    tuned = any(arm["group"] == "tuned" for arm in arms)
    return [
        (
            "Added one after another",
            [arm["name"] for arm in arms if arm["group"] in columns],
        ),
        (
            "Each alone on top of LR, all together, and tuned"
            if tuned
            else "Each alone on top of LR, and all together",
            [arm["name"] for arm in arms if arm["group"] != "cumulative"],
        ),
    ]


def new_figure(width, height):
    """Return an empty figure, its size in inches."""
    # Not pyplot: no window, no global list of figures.
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def spread_out(values):
    """Tell whether the runs differ so much in length that it takes a log."""
    ends = [value[-1] for value in values if len(value)]
    return max(ends) > 3 * min(ends)


def zoom(curves):
    """Return limits that show the final differences, not the first epochs.

    An arm that failed to learn may fall out of the picture; the legend has
    its number.
    """
    middle = np.median([curve.accuracy[-1] for curve in curves])
    top = max(float(np.max(c.accuracy + c.spread)) for c in curves)
    lowest = min(float(np.min(c.accuracy - c.spread)) for c in curves)
    height = max(min(6 * max(top - middle, 0.5), top - lowest), 1.0)
    return top - 1.05 * height, top + 0.05 * height


def log_axis(axis):
    """Make the x axis logarithmic, with plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_xscale("log")
    low, high = axis.get_xlim()
    # Two decades and less need more than their powers of ten.
    steps = (1, 2, 5) if high < 100 * low else (1,)
    axis.xaxis.set_major_locator(LogLocator(subs=steps))
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:,.10g}")
    axis.xaxis.set_minor_formatter(NullFormatter())


def legend(axis):
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
