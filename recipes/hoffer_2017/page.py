"""Hoffer et al.'s tables and figures."""

import dataclasses
import pathlib

import numpy as np

from keras_lbreg.comparison.statistics import Stat
from keras_lbreg.formatting import markdown_table
from keras_lbreg.plot_style import GREY, INK, PALETTE, log_axis
from recipes.figures import curve_of, draw_curve, draw_stats, figure_of
from recipes.hoffer_2017.configuration import (
    COLUMNS,
    HABIT_ARMS,
    HABIT_COMPARISONS,
    LAG_ARMS,
    LAG_COMPARISONS,
    LAG_MOMENTA,
    ROWS,
    WARM_UP,
)
from recipes.paper import Paper, judged_by
from recipes.tables import (
    accuracy,
    difference,
    differences,
    is_moving,
    judgement,
    length,
    not_run,
    runs_table,
)

COLORS = dict(zip(COLUMNS, (INK, GREY, *PALETTE), strict=False))
# Each column against the one before it.
STEPS = tuple(zip(list(COLUMNS)[1:], list(COLUMNS), strict=False))


def recorded_rows(paper):
    """A comparison, a record of it, its epochs, and whether it is the first.

    A comparison has a row for each length and judgement that it was run with.
    """
    for comparison in ROWS:
        for place, results in enumerate(paper.records(comparison.name)):
            epochs = length(results, comparison.recipe.epochs)
            yield comparison, results, epochs, not place


def results_table(paper):
    """The paper's table with our numbers under the paper's."""
    rows = []
    for comparison, results, epochs, first in recorded_rows(paper):
        batch = f"{results.manifest['config']['batch_size']}"
        title = comparison.title if first else ""
        if first and comparison.paper:
            cells = [f"{comparison.paper[arm]:.2f}" for arm in COLUMNS]
            rows.append((title, "paper", batch, *cells, "", "", ""))
            title = ""
        cells = [accuracy(results, arm) for arm in (*COLUMNS, WARM_UP)]
        rows.append((title, "ours", batch, *cells, epochs, judgement(results)))
    head = ("network, data", "", "batch", *COLUMNS.values(), "LR, warm-up")
    table = markdown_table((*head, "epochs", "statistics"), rows)
    return table + not_run(paper, ROWS)


def effects_table(paper):
    """Each column against the one before it, paired by seed."""
    rows = []
    for comparison, results, epochs, first in recorded_rows(paper):
        title, published = comparison.title, comparison.paper
        if first and published:
            cells = [f"{published[a] - published[b]:+.2f}" for a, b in STEPS]
            rows.append((title, "paper", *cells, ""))
        pairs = (*STEPS, ("lr_gbn", WARM_UP))
        cells = [difference(results, a, b) for a, b in pairs]
        ours = f"ours, {epochs} epochs, {judgement(results)}"
        rows.append((title, ours, *cells))
    names = [f"{COLUMNS[a]} − {COLUMNS[b]}" for a, b in STEPS]
    head = ("network, data", "", *names, "+GBN − LR, warm-up")
    return markdown_table(head, rows)


def habits_table(paper):
    """F1 without one habit of the trainer at a time."""
    rows = []
    for comparison in (ROWS[0], *HABIT_COMPARISONS):
        records = paper.records(comparison.name)
        # Beside one another only what was judged alike.
        results = next(filter(is_moving, records), None)
        first = comparison is ROWS[0]
        title = "the paper's setting" if first else comparison.title
        cells = [accuracy(results, arm) for arm in HABIT_ARMS]
        gap = difference(results, "large_batch", "small_batch")
        gain = difference(results, "lr_gbn", "large_batch")
        rows.append((title, *cells, gap, gain))
    names = [COLUMNS[arm] for arm in HABIT_ARMS]
    return markdown_table(("F1, MNIST", *names, "LB − SB", "GBN − LB"), rows)


def by_statistics(results):
    """Results judged with the moving statistics, and as they are."""
    return judged_by(results, f"moving_{results.objective}"), results


def lag_table(paper):
    """What ghost batches add, by how the network's statistics were made."""
    rows = []
    for comparison, results in paper.recorded(LAG_COMPARISONS):
        title = comparison.title
        for judged in by_statistics(results):
            cells = [accuracy(judged, arm) for arm in LAG_ARMS]
            gains = [difference(judged, arm, "lr") for arm in LAG_ARMS[2:]]
            setting = f"{comparison.recipe.norm[0]:g}", judgement(judged)
            rows.append((title, *setting, *cells, *gains))
            title = ""
    head = ("network, data", "momentum", "statistics", "LB", "+LR", "+GBN")
    head += ("+GBN, mean", "+GBN − +LR", "mean − +LR")
    return markdown_table(head, rows) + not_run(paper, LAG_COMPARISONS)


def gap_by_column(paper):
    """Accuracy of each column minus the small batch's, ours and the paper's."""
    columns = list(COLUMNS)[1:]
    places = np.arange(len(columns))

    def panel(comparison, results, epochs):
        def draw(axis):
            axis.axhline(0, color=INK, linewidth=1.0)
            gaps = [differences(results, a, "small_batch") for a in columns]
            look = {"linewidth": 0, "elinewidth": 1.5, "label": "ours"}
            look |= {"color": PALETTE[0], "marker": "o", "capsize": 3}
            draw_stats(axis, places - 0.12, map(Stat.of, gaps), **look)
            if comparison.paper:
                small = comparison.paper["small_batch"]
                gaps = [comparison.paper[arm] - small for arm in columns]
                look = {"color": PALETTE[3], "marker": "D", "linewidth": 0}
                axis.plot(places + 0.12, gaps, label="paper", **look)
            axis.set_xticks(places, [COLUMNS[arm] for arm in columns])
            axis.margins(x=0.15)

        title = comparison.title.removesuffix(" (ours, small)")
        title += f", {epochs} epochs, {judgement(results)} statistics"
        return title, draw

    panels = [
        panel(comparison, results, epochs)
        for comparison, results, epochs, _ in recorded_rows(paper)
        if "small_batch" in results.arm_names
    ]
    return figure_of(panels, "Accuracy minus the small batch's, points")


def error_by_iteration(paper):
    """Validation error against updates: what regime adaptation does."""
    results = paper.results("f1")
    if results is None:
        return None

    def draw(axis):
        for arm, column in COLUMNS.items():
            curve = curve_of(results, arm)
            if curve is not None:
                error = 100 - curve.objective
                look = {"color": COLORS[arm]}
                look["label"] = f"{column}: {error[-1]:.2f} %"
                error = dataclasses.replace(curve, objective=error)
                draw_curve(axis, error, "updates", **look)
        axis.set(xlabel="updates", ylabel="validation error, %")
        log_axis(axis)
        log_axis(axis, "y")

    title = f"F1, {results.manifest['workload']['title']}"
    return figure_of([(title, draw)])


def weight_distance(paper):
    """Distance of the weights against log t, before and after LR and GBN.

    The paper's Figure 2. Thin lines are fits of `a + b ln t` until the
    learning rate first falls.
    """
    whole, other = paper.results("f1"), paper.results("f1_2048")
    if whole is None or other is None:
        return None

    def panel(title, arm):
        def draw(axis):
            lines = (
                (whole, "small_batch", "batch 128", INK),
                (other, arm, "batch 2,048", PALETTE[0]),
                (whole, arm, "batch 4,096", PALETTE[1]),
            )
            for line in lines:
                draw_distance(axis, *line)
            axis.set(xlabel="updates t", ylabel="‖w − w₀‖")
            log_axis(axis)

        return title, draw

    panels = [
        panel("Before: the small batch's learning rate", "large_batch"),
        panel("After: +LR and ghost batches of 128", "lr_gbn"),
    ]
    return figure_of(panels, "F1, MNIST", sharey=True, shared_legend=False)


def draw_distance(axis, results, arm, label, color):
    curve = curve_of(results, arm)
    if curve is None:
        return
    described = {one["name"]: one for one in results.arms}[arm]
    before = curve.epoch <= described["milestones"][0][0]
    time = np.log(curve.updates[before])
    slope, start = np.polyfit(time, curve.weight_distance[before], 1)
    fit = start + slope * time
    axis.plot(curve.updates[before], fit, color=color, lw=1.0, alpha=0.6)
    label = f"{label} (b = {slope:.2g})"
    look = {"color": color, "marker": "o", "markersize": 3, "linewidth": 0.0}
    axis.plot(curve.updates, curve.weight_distance, label=label, **look)


def lag_figure(paper):
    """Accuracy by epoch with moving and with re-estimated statistics."""

    def panel(comparison, results):
        moving, estimated = by_statistics(results)

        def draw(axis):
            for place, arm in enumerate(LAG_ARMS[1:]):
                for judged, dashes in ((estimated, "-"), (moving, ":")):
                    curve = curve_of(judged, arm)
                    if curve is not None:
                        label = f"{curve.title}, {judgement(judged)}"
                        look = {"color": PALETTE[place], "linestyle": dashes}
                        draw_curve(axis, curve, label=label, **look)
            axis.set(xlabel="epoch", ylabel="validation accuracy, %")

        return f"{comparison.title}\n{comparison.part}", draw

    panels = [panel(*pair) for pair in paper.recorded(LAG_COMPARISONS)]
    return figure_of(panels, columns=len(LAG_MOMENTA), sharey="row")


PAPER = Paper(
    name="hoffer_2017",
    title="Hoffer, Hubara, Soudry 2017, Train longer, generalize better",
    folder=pathlib.Path(__file__).parent,
    comparisons=(*ROWS, *HABIT_COMPARISONS, *LAG_COMPARISONS),
    tables={
        "results": results_table,
        "effects": effects_table,
        "lag": lag_table,
        "habits": habits_table,
        "runs": runs_table,
    },
    figures={
        "gap_by_column.png": gap_by_column,
        "error_by_iteration.png": error_by_iteration,
        "weight_distance.png": weight_distance,
        "lag.png": lag_figure,
    },
)
