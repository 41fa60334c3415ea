"""The tables and figures of the screens and confirmations."""

import functools
import pathlib

from keras_lbreg.comparison.plots import make_plots
from keras_lbreg.comparison.statistics import Stat, share_closed
from keras_lbreg.comparison.table import format_stat
from keras_lbreg.formatting import MISSING, format_count, markdown_table
from keras_lbreg.plot_style import GREY, INK, PALETTE
from recipes.figures import figure_of
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

    def panel(comparison):
        found = effects(paper.results(comparison.name))

        def draw(axis):
            axis.axvline(0, color=INK, linewidth=1.0)
            for place, effect in enumerate(found):
                color = PALETTE[0] if effect.exceeds_chance else GREY
                look = {"color": color, "marker": "o", "capsize": 3}
                mean, error = 100 * effect.mean, 100 * effect.error
                axis.errorbar(mean, place, xerr=error, **look)
            axis.set_yticks(range(len(found)), map(factor_title, found))
            axis.invert_yaxis()
            axis.set_xlabel("points (grey: may be chance)")

        return comparison.title.partition(":")[0], draw

    screens = [pair[0] for pair in (DIGITS_PAIR, F1_PAIR)]
    setting = "Effects on held-out accuracy, with 95 % intervals"
    return figure_of([panel(screen) for screen in screens], setting, columns=1)


def closed_figure(paper, problem):
    """The share of the gap closed on fresh seeds."""
    plots = make_plots(paper.results(f"{problem}_confirm"))
    return next(plot for plot in plots if plot.name == "gap_closed").figure()


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
    figures={"effects.png": effects_figure}
    | {
        f"{problem}_closed.png": functools.partial(
            closed_figure, problem=problem
        )
        for problem in PROBLEMS
    },
)
