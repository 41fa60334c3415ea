"""How recorded figures look where `keras_lbreg.comparison.plots` differs."""

from keras_lbreg.comparison.arms import BASELINE, REFERENCE
from keras_lbreg.comparison.plots import (
    gap_closed_rows,
)
from keras_lbreg.plot_style import (
    GREY,
    INK,
    PALETTE,
    new_figure,
    plot_style,
)

# Inches. At 150 dots per inch wider than a README's column, so it stays sharp.
PANEL_WIDTH = 5.6
HEIGHT = 5.2

# Shares of the gap in per cent that a figure shows: an arm that diverged would
# leave the others no room.
SHOWN = (-100, 300)


def arm_colors(arms):
    """`(color, line style)` by arm name.

    The small batch is drawn in ink and the plain large batch in grey. The
    others go through the palette, first solid and then dashed.
    """
    colors = {REFERENCE: (INK, "-"), BASELINE: (GREY, "-")}
    others = [arm["name"] for arm in arms if arm["name"] not in colors]
    for position, name in enumerate(others):
        dashes = ("-", "--", ":")[position // len(PALETTE) % 3]
        colors[name] = (PALETTE[position % len(PALETTE)], dashes)
    return colors


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


def plot_gap_closed(results):
    """The share of the large batch's gap that each arm closes, as bars."""
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
        labels = [
            f"{row.title}   {100 * row.closed.mean:.0f} %" for row in rows
        ]
        axis.set_yticks(range(len(rows)), labels)
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
