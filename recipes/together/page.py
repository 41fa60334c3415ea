"""The tables and figures of the screens and confirmations."""

import functools
import pathlib

from keras_lbreg.comparison.plots import gap_closed_rows
from keras_lbreg.comparison.statistics import Stat, share_closed
from keras_lbreg.comparison.table import format_stat
from keras_lbreg.formatting import MISSING, format_count, markdown_table
from recipes.figures import figure_of, interval_panel
from recipes.paper import Paper
from recipes.tables import accuracy, by_seed, difference, runs_table
from recipes.together.configuration import DIGITS_PAIR, F1_PAIR
from recipes.together.screening import (
    REFERENCES,
    candidates,
    chosen,
    effects,
)

# What costs nothing, and its column.
FREE = {
    "lr": "less sqrt rule",
    "linear": "less linear rule",
    "sqrt_warmup": "less sqrt rule + warm-up",
}
SHOWN = 6


def effects_table(paper, problem):
    """What each factor does, on average over all others."""
    rows = []
    for effect in effects(paper.results(f"{problem}_screen")):
        text = f"{100 * effect.mean:+.2f} ± {100 * effect.error:.2f}"
        text = f"**{text}**" if effect.exceeds_chance else text
        rows.append((effect.title, text))
    head = ("factor", "effect on held-out accuracy, points")
    return markdown_table(head, rows)


def screen_table(paper, problem):
    """The best combinations of a screen, and the free rule."""
    results = paper.results(f"{problem}_screen")
    values, picked = candidates(results), chosen(results)
    ranked = sorted(values, key=lambda c: (-values[c].mean, c.name))
    rows = []
    for place, one in enumerate(ranked[:SHOWN], 1):
        confirmed = "yes" if one in picked else ""
        confirmed = "in any case" if one.name in REFERENCES else confirmed
        text = format_stat(values[one], 2, 100)
        rows.append((one.title, f"{place} of {len(ranked)}", text, confirmed))
    for one in picked:
        if one not in values:
            expected = "yes, expected to be the best"
            rows.append((one.title, "not run", MISSING, expected))
    rule = accuracy(results, "lr")
    rows.append(("sqrt rule alone", "reference", rule, "in any case"))
    head = ("combination", "rank", "held-out accuracy, %", "confirmed")
    return markdown_table(head, rows)


def confirm_table(paper, problem):
    """The chosen beside the references, on fresh seeds."""
    results = paper.results(f"{problem}_confirm")
    rows = []
    for arm in results.arms:
        name, closed = arm["name"], MISSING
        if name not in ("small_batch", "large_batch"):
            closed = format_stat(share_closed(results, name), 0, 100)
        less = [
            "" if name == free else difference(results, name, free)
            for free in FREE
        ]
        runs = by_seed(results, name).values()
        updates = format_count(Stat.of(run.updates for run in runs).mean)
        text = accuracy(results, name)
        rows.append((arm["title"], text, closed, *less, updates))
    head = ("arm", "accuracy, %", "gap closed, %", *FREE.values(), "updates")
    return markdown_table(head, rows)


def head_of(comparison):
    return comparison.title.partition(":")[0]


def effects_figure(paper):
    """What each factor does to the held-out accuracy."""
    panels = []
    for screen, _ in (DIGITS_PAIR, F1_PAIR):
        found = effects(paper.results(screen.name))
        rows = [(*effect, not effect.exceeds_chance) for effect in found]
        label = "points, with 95 % intervals (grey: may be chance)"
        panels.append(interval_panel(head_of(screen), rows, label))
    return figure_of(panels, "Effects on held-out accuracy", columns=1)


def closed_figure(paper):
    """The share of the gap closed on fresh seeds."""
    panels = []
    for _, confirmation in (DIGITS_PAIR, F1_PAIR):
        rows = []
        for row in gap_closed_rows(paper.results(confirmation.name)):
            mean, std = row.closed.mean, row.closed.std
            # One that diverged would leave the others no room.
            if mean > -1:
                name = f"{row.title}, {100 * mean:.0f} %"
                rows.append((name, mean, std, row.group == "control"))
        title = head_of(confirmation)
        panels.append(interval_panel(title, rows, "%, with deviations"))
    setting = "Share of the gap closed at equal epochs, fresh seeds"
    return figure_of(panels, setting, columns=1)


TABLES = {
    "effects": effects_table,
    "screen": screen_table,
    "confirm": confirm_table,
}

PAPER = Paper(
    name="together",
    title="All techniques together, at equal epochs",
    folder=pathlib.Path(__file__).parent,
    comparisons=(*DIGITS_PAIR, *F1_PAIR),
    tables={
        f"{problem}_{kind}": functools.partial(make, problem=problem)
        for problem in ("digits", "f1")
        for kind, make in TABLES.items()
    }
    | {"runs": runs_table},
    figures={"effects.png": effects_figure, "closed.png": closed_figure},
)
