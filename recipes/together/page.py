"""The tables and figures of the screens and confirmations."""

import functools
import pathlib

from keras_lbreg.comparison.plots import gap_closed_rows
from keras_lbreg.comparison.statistics import Stat, share_closed
from keras_lbreg.comparison.table import format_stat
from keras_lbreg.formatting import MISSING, format_count, markdown_table
from keras_lbreg.plot_style import GREY, PALETTE
from recipes.figures import figure_of, interval_panel
from recipes.paper import Paper
from recipes.tables import accuracy, by_seed, difference, runs_table
from recipes.together.configuration import DIGITS_PAIR, F1_PAIR
from recipes.together.screening import (
    RATES,
    REFERENCES,
    SWITCHES,
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


def factor_title(effect):
    """A factor's level as tables and figures call it."""
    if effect.factor == "rate":
        return f"{RATES[effect.level][0]} (against the sqrt rule)"
    return SWITCHES[effect.factor][0]


def effects_table(paper, problem):
    """What each factor does, on average over all others."""
    rows = []
    for effect in effects(paper.results(f"{problem}_screen")):
        text = f"{100 * effect.mean:+.2f} ± {100 * effect.error:.2f}"
        text = f"**{text}**" if effect.exceeds_chance else text
        rows.append((factor_title(effect), text))
    head = ("factor", "effect on held-out accuracy, points")
    return markdown_table(head, rows)


def screen_table(paper, problem):
    """The best combinations of a screen, and the free rule."""
    results = paper.results(f"{problem}_screen")
    values = candidates(results)
    ranked = sorted(values, key=lambda c: (-values[c].mean, c.name))
    picked = chosen(results)

    def judged(combination):
        if combination.name in REFERENCES:
            return "in any case"
        return "yes" if combination in picked else ""

    rows = [
        (
            one.title,
            f"{place} of {len(ranked)}",
            format_stat(values[one], 2, 100),
            judged(one),
        )
        for place, one in enumerate(ranked[:SHOWN], 1)
    ]
    rows += [
        (one.title, "not run", MISSING, "yes, expected to be the best")
        for one in picked
        if one not in values
    ]
    rule = accuracy(results, "lr")
    rows.append(("sqrt rule alone", "reference", rule, "in any case"))
    head = ("combination", "rank", "held-out accuracy, %", "confirmed")
    return markdown_table(head, rows)


def confirm_table(paper, problem):
    """The chosen beside the references, on fresh seeds."""
    results = paper.results(f"{problem}_confirm")
    rows = []
    for arm in results.arms:
        name = arm["name"]
        closed = MISSING
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


def effects_figure(paper):
    """What each factor does to the held-out accuracy."""
    panels = []
    for screen, _ in (DIGITS_PAIR, F1_PAIR):
        rows = [
            (
                factor_title(effect),
                100 * effect.mean,
                100 * effect.error,
                PALETTE[0] if effect.exceeds_chance else GREY,
            )
            for effect in effects(paper.results(screen.name))
        ]
        title = screen.title.partition(":")[0]
        label = "points, with 95 % intervals (grey: may be chance)"
        panels.append(interval_panel(title, rows, label))
    return figure_of(panels, "Effects on held-out accuracy", columns=1)


def closed_figure(paper):
    """The share of the gap closed on fresh seeds."""
    panels = []
    for _, confirmation in (DIGITS_PAIR, F1_PAIR):
        results = paper.results(confirmation.name)
        # One that diverged would leave the others no room.
        rows = [
            (
                f"{row.title}, {100 * row.closed.mean:.0f} %",
                100 * row.closed.mean,
                100 * row.closed.std,
                GREY if row.group == "control" else PALETTE[0],
            )
            for row in gap_closed_rows(results)
            if row.closed.mean > -1
        ]
        title = confirmation.title.partition(":")[0]
        panels.append(interval_panel(title, rows, "%, with deviations"))
    setting = "Share of the gap closed at equal epochs, fresh seeds"
    return figure_of(panels, setting, columns=1)


PROBLEMS = ("digits", "f1")
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
        for problem in PROBLEMS
        for kind, make in TABLES.items()
    }
    | {"runs": runs_table},
    figures={"effects.png": effects_figure, "closed.png": closed_figure},
)
