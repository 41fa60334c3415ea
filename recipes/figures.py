"""The figures of the READMEs, drawn from the records."""

import math
import textwrap

from keras_lbreg.comparison.plots import mean_curves
from keras_lbreg.files import write_file
from keras_lbreg.plot_style import (
    GREY,
    INK,
    PALETTE,
    new_figure,
    plot_style,
    to_png,
)

# Inches.
WIDTH, HEIGHT = 4.2, 3.6
LEGEND_ROW = 0.28
# Of a legend: a letter and the line before it, in inches.
LETTER, HANDLE = 0.085, 0.75
# Characters of a title's line.
TITLE = 44

# What stands for the small batch and the large one in every figure.
REFERENCES = {"small_batch": INK, "large_batch": GREY}


def write_figures(paper):
    """Draws a paper's figures; returns the paths of those that were."""
    paths = []
    for name, draw in paper.figures.items():
        figure = draw(paper)
        if figure is not None:
            path = paper.folder / "figures" / name
            write_file(path, to_png(figure))
            paths.append(path)
    return paths


def figure_of(panels, setting="", columns=3, sharey=False, shared_legend=True):
    """A figure of `(title, draw(axis))` pairs, or `None` where there are none.

    `setting` is what a picture without its page needs to be understood; with
    `shared_legend`, all panels have one legend, below them.
    """
    if not panels:
        return None
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    with plot_style():
        # One panel alone would have no room for its legend.
        figure = new_figure(WIDTH * max(columns, 1.6), HEIGHT * rows)
        axes = figure.subplots(rows, columns, sharey=sharey, squeeze=False)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        labels = {}
        for axis, (title, draw) in zip(axes.flat, panels, strict=False):
            lines = (textwrap.fill(line, TITLE) for line in title.splitlines())
            axis.set_title("\n".join(lines), fontsize=10)
            draw(axis)
            handles, names = axis.get_legend_handles_labels()
            labels |= dict(zip(names, handles, strict=True))
            if handles and not shared_legend:
                axis.legend(fontsize=9)
        if shared_legend and labels:
            inches = LETTER * max(map(len, labels)) + HANDLE
            across = max(1, int(figure.get_figwidth() / inches))
            across = min(len(labels), across)
            lines = math.ceil(len(labels) / across)
            figure.set_figheight(HEIGHT * rows + LEGEND_ROW * (lines + 1))
            figure.legend(
                labels.values(),
                labels.keys(),
                loc="outside lower left",
                ncols=across,
            )
        if setting:
            figure.suptitle(setting, x=0.01, ha="left", fontsize=11)
    return figure


def arm_styles(arms):
    """`(color, line style)` by the names of arms, in their order."""
    styles = {name: (color, "-") for name, color in REFERENCES.items()}
    others = [name for name in arms if name not in styles]
    for place, name in enumerate(others):
        dashes = ("-", "--", ":")[place // len(PALETTE) % 3]
        styles[name] = (PALETTE[place % len(PALETTE)], dashes)
    return styles


def curve_of(results, arm):
    """The mean curve of one arm, or `None`."""
    curves = mean_curves(results) if results is not None else []
    return next((curve for curve in curves if curve.name == arm), None)


def draw_curve(axis, curve, x="epoch", **style):
    """Accuracy in per cent with a band of one deviation over the seeds."""
    places, accuracy = getattr(curve, x), curve.objective
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.plot(places, accuracy, linewidth=1.6, **style)
    band = accuracy - curve.spread, accuracy + curve.spread
    axis.fill_between(places, *band, color=style["color"], alpha=0.12, lw=0)


def accuracy_figure(comparisons, lowest=None):
    """The function that draws accuracy by epoch, a panel a comparison."""

    def panel(title, results):
        styles = arm_styles(results.arm_names)

        def draw(axis):
            for curve in mean_curves(results):
                color, dashes = styles[curve.name]
                look = {"color": color, "linestyle": dashes}
                draw_curve(axis, curve, label=curve.title, **look)
            axis.set(xlabel="epoch", ylabel="validation accuracy, %")
            if lowest is not None:
                axis.set_ylim(lowest, 101)

        return title, draw

    def figure(paper):
        found = paper.recorded(comparisons)
        panels = [panel(c.title, r) for c, r in found if mean_curves(r)]
        return figure_of(panels, sharey=lowest is not None)

    return figure


def draw_stats(axis, places, stats, **style):
    """Means with error bars of one deviation."""
    known = [(x, s) for x, s in zip(places, stats, strict=True) if s.n]
    if known:
        x, stats = zip(*known, strict=True)
        errors = [0 if math.isnan(s.std) else 100 * s.std for s in stats]
        axis.errorbar(x, [100 * s.mean for s in stats], errors, **style)


def interval_panel(title, rows, label):
    """Names with shares and their errors in per cent, grey where `grey`."""

    def draw(axis):
        axis.axvline(0, color=INK, linewidth=1.0)
        for place, (_, mean, error, grey) in enumerate(rows):
            look = {"color": GREY if grey else PALETTE[0], "marker": "o"}
            axis.errorbar(
                100 * mean, place, xerr=100 * error, capsize=3, **look
            )
        axis.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axis.invert_yaxis()
        axis.set_xlabel(label)

    return title, draw


def logarithmic(axis, values):
    """A logarithmic x axis with these ticks."""
    axis.set_xscale("log")
    axis.set_xticks(values, [f"{value:g}" for value in values])
    axis.minorticks_off()
