"""Accuracy against each hyperparameter by itself."""

import math

from keras_lbreg.experiments.plot_layout import log_axis, new_figure
from keras_lbreg.experiments.plot_style import (
    LARGE_BATCH,
    PALETTE,
    plot_style,
)
from keras_lbreg.search.pages.accuracy_axis import draw_trials, zoom_on_the_best
from keras_lbreg.search.pages.dimensions import dimensions, shortened, spread
from keras_lbreg.search.pages.rank_correlation import rank_correlation
from keras_lbreg.search.pages.ranking import rank

COLUMNS = 5
# Inches.
WIDTH, ROW_HEIGHT = 12.0, 2.3
# More categories than this are written upwards.
MOST_UPRIGHT = 4


def plot_slices(results):
    """Draw one panel for each hyperparameter: its value against accuracy.

    A panel holds the trials that have the hyperparameter; the star is the
    winner, and grey are those that the tuner stopped early. A rank correlation
    of the others stands in a panel's title where it exceeds chance, with as
    many tests as panels.

    Args:
        results: A `SearchResults` with at least one completed trial and a
            hyperparameter with two values.

    Returns:
        A `matplotlib.figure.Figure`.

    Example:

    >>> plot_slices(read_search("runs/tune-digits")).savefig("slices.png")

    Reference: Spearman 1904, "The proof and measurement of association
    between two things".
    """
    ranking = rank(results)
    percents = {trial.id: 100 * trial.score for trial in ranking.trials}
    shorter = {trial.id: 100 * trial.score for trial in ranking.shorter}
    found = dimensions(results)
    columns = min(COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    with plot_style():
        figure = new_figure(
            max(WIDTH * columns / COLUMNS, 5.0), ROW_HEIGHT * rows
        )
        axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
        limits = zoom_on_the_best(axes[0, 0], list(percents.values()))
        for axis in axes.flat[len(found) :]:
            axis.set_axis_off()
        for position, dimension in enumerate(found):
            axis = axes.flat[position]
            draw_slice(axis, dimension, percents, shorter)
            axis.set_title(
                title_of(dimension, percents, len(found)),
                fontsize=10,
                fontweight="normal",
            )
            axis.tick_params(labelsize=9)
        axes[0, 0].set_ylim(*limits)
        figure.supylabel("accuracy, %", fontsize=10)
    return figure


def draw_slice(axis, dimension, percents, shorter):
    """Draw one panel; the first of `percents` is the winner."""
    everything = {**percents, **shorter}
    # A trial stands in the same place of its category everywhere.
    offsets = dict(zip(everything, spread(len(everything)), strict=True))
    x = {
        trial: dimension.place(dimension.values[trial])
        + (offsets[trial] if dimension.choices else 0)
        for trial in everything
        if trial in dimension.values
    }
    for own, color in ((shorter, LARGE_BATCH), (percents, PALETTE[0])):
        shown = [trial for trial in own if trial in x]
        draw_trials(
            axis,
            [x[trial] for trial in shown],
            [own[trial] for trial in shown],
            color,
            4.5,
        )
    winner = next(iter(percents))
    if winner in x:
        axis.plot(
            x[winner],
            percents[winner],
            marker="*",
            color=PALETTE[3],
            markersize=11,
            markeredgewidth=0,
        )
    if dimension.choices:
        label_categories(axis, dimension)
    elif dimension.log:
        wide = max(x.values()) > 100 * min(x.values())
        axis.set_xscale("log") if wide else log_axis(axis)


def label_categories(axis, dimension):
    texts = [shortened(dimension.text(x)) for x in dimension.choices]
    crowded = len(texts) > MOST_UPRIGHT and max(map(len, texts)) > 3
    axis.set_xticks(
        range(len(texts)),
        texts,
        rotation=30 if crowded else 0,
        ha="right" if crowded else "center",
    )
    axis.set_xlim(-0.6, len(texts) - 0.4)
    axis.tick_params(axis="x", length=0)


def title_of(dimension, percents, tests):
    """The hyperparameter and its rank correlation, where there is one."""
    trials = [x for x in dimension.values if x in percents]
    correlation = rank_correlation(
        [dimension.place(dimension.values[trial]) for trial in trials],
        [percents[trial] for trial in trials],
    )
    if correlation.chance < 0.05 / tests:
        return f"{dimension.label}  (ρ = {correlation.value:+.2f})"
    return dimension.label
