"""The figures of the README."""

import numpy as np

from keras_lbreg.comparison.plots import (
    mean_curves,
)
from keras_lbreg.comparison.statistics import Stat, finals
from keras_lbreg.plot_style import (
    GREY,
    INK,
    PALETTE,
    log_axis,
    new_figure,
    plot_style,
)
from recipes.hoffer_2017.configuration import COLUMNS, ROWS
from recipes.study.plots import HEIGHT, PANEL_WIDTH
from recipes.study.statistics import finished_runs

COLORS = dict(zip(COLUMNS, (INK, GREY, *PALETTE), strict=False))


def weight_distance(study):
    """Distance of the weights against log t, before and after LR and GBN.

    The paper's Figure 2. Thin lines are fits of `a + b ln t` until the
    learning rate first falls.
    """
    whole, other = study.results("f1"), study.results("f1_2048")
    if whole is None or other is None:
        return None
    small = (whole, "small_batch", "batch 128", INK)
    panels = (
        (
            "Before: the small batch's learning rate",
            [
                small,
                (other, "large_batch", "batch 2,048", PALETTE[0]),
                (whole, "large_batch", "batch 4,096", PALETTE[1]),
            ],
        ),
        (
            "After: +LR and ghost batches of 128",
            [
                small,
                (other, "lr_gbn", "batch 2,048", PALETTE[0]),
                (whole, "lr_gbn", "batch 4,096", PALETTE[1]),
            ],
        ),
    )
    with plot_style():
        figure = new_figure(2 * PANEL_WIDTH, HEIGHT)
        axes = figure.subplots(1, 2, sharey=True)
        for axis, (title, lines) in zip(axes, panels, strict=True):
            for results, arm, label, color in lines:
                draw_distance(axis, results, arm, label, color)
            axis.set(title=title, xlabel="updates t")
            log_axis(axis)
            axis.legend(loc="upper left")
        axes[0].set_ylabel("distance from the start, ‖w − w₀‖")
        figure.suptitle(
            f"F1, {whole.manifest['workload']['title']}",
            x=0.01,
            ha="left",
            fontsize=11,
        )
    return figure


def draw_distance(axis, results, arm, label, color):
    curve = curve_of(results, arm)
    if curve is None:
        return
    [description] = [a for a in results.arms if a["name"] == arm]
    first_drop = description["milestones"][0][0]
    before = curve.epoch <= first_drop
    slope, start = np.polyfit(
        np.log(curve.updates[before]), curve.distance[before], 1
    )
    axis.plot(
        curve.updates[before],
        start + slope * np.log(curve.updates[before]),
        color=color,
        linewidth=1.0,
        alpha=0.6,
    )
    axis.plot(
        curve.updates,
        curve.distance,
        color=color,
        marker="o",
        markersize=3,
        linewidth=0.0,
        label=f"{label} (b = {slope:.2g})",
    )


def error_by_iteration(study):
    """Validation error against updates: what regime adaptation does."""
    results = study.results("f1")
    if results is None:
        return None
    from matplotlib.ticker import LogLocator, NullFormatter

    with plot_style():
        figure = new_figure(1.5 * PANEL_WIDTH, HEIGHT)
        axis = figure.subplots()
        for arm, column in COLUMNS.items():
            curve = curve_of(results, arm)
            if curve is None:
                continue
            error = 100 - curve.objective
            seeds = len(finished_runs(results, arm))
            axis.plot(
                curve.updates,
                error,
                color=COLORS[arm],
                label=f"{column}, {seeds} seed{'s' if seeds > 1 else ''}: "
                f"{error[-1]:.2f} %",
            )
            axis.fill_between(
                curve.updates,
                error - curve.spread,
                error + curve.spread,
                color=COLORS[arm],
                alpha=0.12,
                linewidth=0,
            )
        axis.set(
            xlabel="updates",
            ylabel="validation error, %",
            title=f"F1, {results.manifest['workload']['title']}",
        )
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axis.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.xaxis.set_major_formatter(lambda x, _: f"{x:,.10g}")
        axis.legend()
    return figure


def gap_by_column(study):
    """Accuracy of each column minus the small batch's, ours and the paper's."""
    rows = [row for row in ROWS if study.results(row.name) is not None]
    rows = [row for row in rows if "small_batch" in row.arms]
    if not rows:
        return None
    columns = list(COLUMNS)[1:]
    with plot_style():
        figure = new_figure(PANEL_WIDTH * max(1.4, len(rows) * 0.8), HEIGHT)
        axes = figure.subplots(1, len(rows), squeeze=False)[0]
        for axis, comparison in zip(axes, rows, strict=True):
            results = study.results(comparison.name)
            axis.axhline(0, color=INK, linewidth=1.0)
            small = finals(results, "small_batch")
            for place, arm in enumerate(columns):
                own = finals(results, arm)
                gain = Stat.of(
                    100 * (own[seed] - small[seed])
                    for seed in own
                    if seed in small
                )
                axis.errorbar(
                    place - 0.12,
                    gain.mean,
                    yerr=None if np.isnan(gain.std) else gain.std,
                    color=PALETTE[0],
                    marker="o",
                    capsize=3,
                    label="ours" if place == 0 else None,
                )
                if comparison.paper:
                    axis.plot(
                        place + 0.12,
                        comparison.paper[arm] - comparison.paper["small_batch"],
                        color=PALETTE[3],
                        marker="D",
                        linewidth=0,
                        label="paper" if place == 0 else None,
                    )
            axis.set_xticks(range(len(columns)), [COLUMNS[c] for c in columns])
            axis.set_title(titled(comparison, results))
            axis.margins(x=0.15)
        axes[0].set_ylabel("accuracy minus the small batch's, points")
        axes[0].legend(loc="best")
    return figure


def titled(comparison, results):
    """Title of a panel; says where runs were shortened."""
    run = results.manifest["config"]["epochs"]
    title = comparison.title.removesuffix(" (ours, small)")
    if run != comparison.recipe.epochs:
        title += f"\n{run} of {comparison.recipe.epochs} epochs"
    return title


def curve_of(results, arm):
    """The mean curve of one arm, or None."""
    for curve in mean_curves(results):
        if curve.name == arm:
            return curve
    return None


FIGURES = {
    "weight_distance.png": weight_distance,
    "error_by_iteration.png": error_by_iteration,
    "gap_by_column.png": gap_by_column,
}
