"""The tables of the README, made of the results."""

import functools

from keras_lbreg.comparison.arms import BASELINE
from keras_lbreg.comparison.statistics import Stat, share_closed
from keras_lbreg.comparison.table import format_stat
from keras_lbreg.formatting import MISSING, format_count
from recipes.study.cells import accuracy, difference, provenance, table
from recipes.study.statistics import finished_runs
from recipes.together.choice import REFERENCES, candidates, chosen, effects
from recipes.together.combination import RATES, SWITCHES

RULE = "lr"
# What costs nothing, and its column.
FREE = {
    RULE: "less sqrt rule",
    "linear": "less linear rule",
    "sqrt_warmup": "less sqrt rule + warm-up",
}
SHOWN = 6


def unless_missing(make):
    """A table of results, or the command that would fill it."""

    @functools.wraps(make)
    def made(study, name):
        results = study.results(name)
        text = "" if results is None else make(results)
        return text or f"Not run. To fill it: `{study.command(name)}`\n"

    return made


def factor_title(effect):
    """A factor's level as tables and figures call it."""
    if effect.factor == "rate":
        return f"{RATES[effect.level][0]} (against the sqrt rule)"
    return SWITCHES[effect.factor][0]


@unless_missing
def effects_table(results):
    """What each factor does, on average over all others."""
    rows = []
    for effect in effects(results):
        text = f"{100 * effect.mean:+.2f} ± {100 * effect.error:.2f}"
        text = f"**{text}**" if effect.exceeds_chance else text
        rows.append((factor_title(effect), text))
    header = ("factor", "effect on held-out accuracy, points")
    return table(header, rows) if rows else ""


@unless_missing
def screen_table(results):
    """The best combinations of a screen, and the free rule."""
    values = candidates(results)
    if not values:
        return ""
    ranked = sorted(values, key=lambda c: (-values[c].mean, c.name))
    picked = chosen(results)
    rows = [
        (
            one.title,
            f"{place} of {len(ranked)}",
            format_stat(values[one], 2, 100),
            judged(one, picked),
        )
        for place, one in enumerate(ranked[:SHOWN], 1)
    ]
    rows += [
        (one.title, "not run", MISSING, "yes, expected to be the best")
        for one in picked
        if one not in values
    ]
    rule = accuracy(results, RULE)
    rows.append(("sqrt rule alone", "reference", rule, "in any case"))
    header = ("combination", "rank", "held-out accuracy, %", "confirmed")
    return table(header, rows)


def judged(combination, picked):
    """Whether a combination is confirmed, in words."""
    if combination.name in REFERENCES:
        return "in any case"
    return "yes" if combination in picked else ""


def less(results, arm, other):
    return "" if arm == other else difference(results, arm, other)


@unless_missing
def confirm_table(results):
    """The chosen beside the references, on fresh seeds."""
    rows = []
    for arm in results.arms:
        name = arm["name"]
        closed = MISSING
        if name not in ("small_batch", BASELINE):
            closed = format_stat(share_closed(results, name), 0, 100)
        runs = finished_runs(results, name).values()
        rows.append(
            (
                arm["title"],
                accuracy(results, name),
                closed,
                *(less(results, name, free) for free in FREE),
                format_count(Stat.of(run.updates for run in runs).mean),
            )
        )
    header = (
        "arm",
        "accuracy, %",
        "gap closed, %",
        *FREE.values(),
        "updates",
    )
    return table(header, rows)


def origins(study):
    """Where the numbers come from, one line for each comparison."""
    lines = []
    for comparison in study.comparisons:
        results = study.results(comparison.name)
        if results is not None:
            epochs = results.manifest["config"]["epochs"]
            lines.append(
                f"- `{comparison.name}`, {epochs} epochs: "
                f"{provenance(results)}.\n"
            )
    return "".join(lines)


TABLES = {
    f"{problem}_{kind}": functools.partial(make, name=f"{problem}_{part}")
    for problem in ("digits", "f1")
    for kind, part, make in (
        ("effects", "screen", effects_table),
        ("screen", "screen", screen_table),
        ("confirm", "confirm", confirm_table),
    )
} | {"origins": origins}
