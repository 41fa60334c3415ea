"""Parallel coordinates: every trial as a line through its settings."""

import math

from keras_lbreg.experiments.plot_layout import HEIGHT, new_figure
from keras_lbreg.experiments.plot_style import (
    INK,
    LARGE_BATCH,
    PALETTE,
    PAPER,
    plot_style,
)
from keras_lbreg.search.pages.accuracy_axis import best_limits
from keras_lbreg.search.pages.dimensions import dimensions, shortened, spread
from keras_lbreg.search.pages.rank_correlation import rank_correlation
from keras_lbreg.search.pages.ranking import rank

# More axes than this cannot be read.
MOST_AXES = 8
# Inches.
AXIS_WIDTH = 1.45
# The height at which a line passes an axis on which it has no value; the
# axis itself goes from 0 to 1.
OFF = -0.16


def plot_parallel(results):
    """Draw each completed trial as a line through its hyperparameters.

    Trials that the tuner stopped early are left out. The last axis is the
    accuracy, and the colour goes with it; better trials lie over worse ones,
    and the winner is orange. Where a technique is off, the line passes below
    the axis of its hyperparameter. Of many hyperparameters some are shown, see
    `chosen_dimensions`.

    Args:
        results: A `SearchResults` with at least one completed trial and a
            hyperparameter with two values.

    Returns:
        A `matplotlib.figure.Figure`.

    Example:

    >>> plot_parallel(read_search("runs/tune-digits")).savefig("parallel.png")

    Reference: Inselberg 1985, "The plane with parallel coordinates".
    """
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    ranking = rank(results)
    percents = {trial.id: 100 * trial.score for trial in ranking.trials}
    shown = chosen_dimensions(results)
    columns = [heights_of(dimension, percents) for dimension in shown]
    low, top = best_limits(list(percents.values()))
    # The worst fade into the page, be it light or dark.
    ends = (*to_rgb(LARGE_BATCH), 0.25), to_rgb(PALETTE[0])
    ramp = LinearSegmentedColormap.from_list("", ends)
    with plot_style():
        figure = new_figure(AXIS_WIDTH * (len(shown) + 1.5), HEIGHT)
        axis = figure.subplots()
        axis.set_axis_off()
        for trial in reversed(ranking.trials):
            end = max(0.0, (percents[trial.id] - low) / (top - low))
            best = trial is ranking.trials[0]
            axis.plot(
                range(len(shown) + 1),
                [*(column[trial.id] for column in columns), end],
                color=PALETTE[3] if best else ramp(end),
                linewidth=3.0 if best else 1.4,
                solid_joinstyle="round",
            )
        for place, dimension in enumerate(shown):
            draw_axis(axis, place, dimension.label, ticks_of(dimension))
            if any(trial not in dimension.values for trial in percents):
                write(axis, place, OFF, "off")
        foot = f"{'≤ ' * (min(percents.values()) < low)}{low:.1f}"
        ticks = [(0.0, foot), (1.0, f"{top:.1f}")]
        draw_axis(axis, len(shown), "accuracy, %", ticks)
        axis.set_xlim(-0.5, len(shown) + 0.15)
        axis.set_ylim(OFF - 0.07, 1.13)
    return figure


def chosen_dimensions(results):
    """The hyperparameters that the plot shows, in the register's order.

    Where there are more than `MOST_AXES`, those whose rank correlation with
    the accuracy is least likely to be chance. Whether a technique is on is
    left out where an axis of one of its hyperparameters shows it.

    Args:
        results: A `SearchResults`.

    Returns:
        A list of `Dimension`s.

    Example:

    >>> [dimension.name for dimension in chosen_dimensions(results)]

    Reference: `keras_lbreg.search.pages.rank_correlation`.
    """
    found = dimensions(results)
    accuracy = {trial.id: trial.score for trial in rank(results).trials}

    def chance(dimension):
        trials = [trial for trial in dimension.values if trial in accuracy]
        places = [dimension.place(dimension.values[x]) for x in trials]
        return rank_correlation(places, [accuracy[x] for x in trials]).chance

    best = sorted(found, key=chance)
    while len(chosen := without_shown_switches(best)) > MOST_AXES:
        best.pop()
    return [dimension for dimension in found if dimension in chosen]


def without_shown_switches(found):
    """Leave out switches of techniques that their hyperparameters show."""
    shown = {x.technique for x in found if x.name != x.technique}
    return [
        x for x in found if x.name != x.technique or x.technique not in shown
    ]


def heights_of(dimension, trials):
    """Where each trial's line crosses an axis from 0 to 1."""
    position = position_on(dimension)
    # Lines through one category stay apart.
    offsets = dict(zip(trials, spread(len(trials)), strict=True))
    width = 0.3 / len(dimension.choices) if dimension.choices else 0.0
    heights = {}
    for trial, offset in offsets.items():
        if trial in dimension.values:
            value = dimension.values[trial]
            heights[trial] = position(value) + width * offset
        else:
            heights[trial] = OFF + 0.06 * offset
    return heights


def position_on(dimension):
    """A function from a value to its height on the axis."""
    if dimension.choices:
        count = len(dimension.choices)
        return lambda value: (dimension.place(value) + 0.5) / count
    scale = math.log if dimension.log else float
    ends = [scale(value) for value in dimension.values.values()]
    low, high = min(ends), max(ends)
    return lambda value: (scale(value) - low) / (high - low)


def ticks_of(dimension):
    """Pairs of a height and a text."""
    position = position_on(dimension)
    values = dimension.choices
    if not values:
        values = min(dimension.values.values()), max(dimension.values.values())
    return [(position(x), shortened(dimension.text(x))) for x in values]


def draw_axis(axis, place, title, ticks):
    """Draw one vertical axis with its texts."""
    axis.plot([place, place], [0, 1], color=INK, linewidth=1.0)
    axis.text(place, 1.06, title.replace(": ", "\n"), ha="center", fontsize=10)
    for height, text in ticks:
        write(axis, place, height, text)


def write(axis, place, height, text):
    """Write a tick's text beside an axis, readable over the lines."""
    axis.text(
        place - 0.04,
        height,
        text,
        ha="right",
        va="center",
        fontsize=9.5,
        bbox={"facecolor": PAPER, "alpha": 0.7, "linewidth": 0, "pad": 1},
    )
