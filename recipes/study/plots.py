"""The look of recipes' figures, and what several of them draw."""

import contextlib
import io
import math

from recipes.study.statistics import BASELINE, REFERENCE, share_closed

# Inches. At 150 dots per inch wider than a README's column, so it stays sharp.
PANEL_WIDTH = 5.6
HEIGHT = 5.2

# Okabe and Ito's palette without yellow and black, and two of Paul Tol's:
# distinct to colour-blind readers, on white and on dark paper.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#9E6C2F",
    "#7B6FD0",
)
# Text, axes and the small batch's line.
INK = "#1f2328"
LARGE_BATCH = "#8b949e"

STYLE = {
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#8b949e",
    "grid.alpha": 0.25,
    "grid.linewidth": 0.8,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}

# Shares of the gap in per cent that a figure shows: an arm that diverged would
# leave the others no room.
SHOWN = (-100, 300)


@contextlib.contextmanager
def plot_style():
    """Apply the style inside a `with` block."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def new_figure(width, height):
    """An empty figure, its size in inches."""
    # Not pyplot: no window, no global list of figures.
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def to_png(figure, dpi=150):
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    with plot_style():
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def arm_colors(arms):
    """`(color, line style)` by arm name.

    The small batch is drawn in ink and the plain large batch in grey. The
    others go through the palette, first solid and then dashed.
    """
    colors = {REFERENCE: (INK, "-"), BASELINE: (LARGE_BATCH, "-")}
    others = [arm["name"] for arm in arms if arm["name"] not in colors]
    for position, name in enumerate(others):
        dashes = ("-", "--", ":")[position // len(PALETTE) % 3]
        colors[name] = (PALETTE[position % len(PALETTE)], dashes)
    return colors


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


def gap_closed_rows(results):
    """Pairs of an arm of the manifest and its share of the gap closed."""
    rows = [
        (arm, share_closed(results, arm["name"]))
        for arm in results.arms
        if arm["name"] not in (REFERENCE, BASELINE)
    ]
    return [(arm, stat) for arm, stat in rows if math.isfinite(stat.mean)]


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
        for position, (arm, stat) in enumerate(rows):
            share, std = 100 * stat.mean, 100 * stat.std
            axis.barh(
                position,
                share,
                0.62,
                color=colors[arm["name"]][0],
                alpha=0.55 if arm["group"] == "control" else 1.0,
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
            f"{arm['title']}   {100 * stat.mean:.0f} %" for arm, stat in rows
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
