"""The figures of the README, made of the results."""

import functools

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
from recipes.study.plots import plot_gap_closed
from recipes.together.choice import effects
from recipes.together.tables import factor_title


def plot_effects(study, name):
    """What each factor does to the held-out accuracy."""
    results = study.results(name)
    found = effects(results) if results is not None else []
    if not found:
        return None
    with plot_style():
        figure = new_figure(8, 4.2)
        axis = figure.subplots()
        axis.grid(False)
        axis.axvline(0, color=INK, linewidth=1.0)
        for place, effect in enumerate(found):
            axis.errorbar(
                100 * effect.mean,
                place,
                xerr=100 * effect.error,
                color=PALETTE[0] if effect.exceeds_chance else GREY,
                marker="o",
                capsize=3,
            )
        axis.set_yticks(range(len(found)), [factor_title(e) for e in found])
        axis.invert_yaxis()
        axis.set_xlabel(
            "effect on held-out accuracy, points\n"
            "(95 % intervals; grey: may be chance)"
        )
        figure.suptitle(study.get(name).title, x=0.01, ha="left", fontsize=11)
    return figure


def plot_closed(study, name):
    """The share of the gap closed on fresh seeds."""
    results = study.results(name)
    if results is None or not gap_closed_rows(results):
        return None
    figure = plot_gap_closed(results)
    with plot_style():
        seeds = len(results.manifest["seeds"])
        figure.suptitle(
            f"{study.get(name).title}\n{seeds} seeds, bars: standard deviation",
            x=0.01,
            ha="left",
            fontsize=11,
        )
    return figure


FIGURES = {
    f"{problem}_{kind}.png": functools.partial(draw, name=f"{problem}_{part}")
    for problem in ("digits", "f1")
    for kind, part, draw in (
        ("effects", "screen", plot_effects),
        ("closed", "confirm", plot_closed),
    )
}
