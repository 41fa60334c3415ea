"""Best accuracy so far against the time of the search."""

import math

from keras_lbreg.experiments.formatting import format_stat
from keras_lbreg.experiments.plot_layout import (
    HEIGHT,
    PANEL_WIDTH,
    new_figure,
)
from keras_lbreg.experiments.plot_style import (
    INK,
    LARGE_BATCH,
    PALETTE,
    plot_style,
)
from keras_lbreg.search.pages.accuracy_axis import draw_trials, zoom_on_the_best
from keras_lbreg.search.pages.ranking import rank

UNITS = ((2 * 3600, 3600, "hours"), (2 * 60, 60, "minutes"), (0, 1, "seconds"))


def plot_progress(results):
    """Draw every trial and the best accuracy so far over the search's time.

    Failed trials are crosses at the foot. Trials in the band are within noise
    of the winner, see `rank`. Those that the tuner stopped early are grey and
    do not count as best.

    Args:
        results: A `SearchResults` with at least one completed trial.

    Returns:
        A `matplotlib.figure.Figure`.

    Example:

    >>> plot_progress(read_search("runs/tune-digits")).savefig("progress.png")

    Reference: `keras_lbreg.search.pages.ranking.rank` for the band.
    """
    ranking = rank(results)
    winner = ranking.trials[0]
    second, unit = unit_of(results.elapsed)
    by_time = sorted(ranking.trials, key=lambda trial: trial.ended)
    times = [trial.ended / second for trial in by_time]
    percents = [100 * trial.score for trial in by_time]
    best = [max(percents[: i + 1]) for i in range(len(percents))]
    failed = [trial for trial in results.trials if trial.status == "failed"]
    with plot_style():
        figure = new_figure(1.5 * PANEL_WIDTH, 0.85 * HEIGHT)
        axis = figure.subplots()
        low, _ = zoom_on_the_best(axis, percents)
        draw_trials(
            axis,
            [trial.ended / second for trial in ranking.shorter],
            [100 * trial.score for trial in ranking.shorter],
            color=LARGE_BATCH,
            label="stopped early",
        )
        draw_trials(axis, times, percents, color=PALETTE[0], label="trial")
        end = results.elapsed / second
        axis.step(
            [*times, end],
            [*best, best[-1]],
            where="post",
            color=INK,
            linewidth=1.5,
            label="best so far",
        )
        if not math.isnan(ranking.margin):
            axis.axhspan(
                best[-1] - 100 * ranking.margin,
                best[-1],
                color=LARGE_BATCH,
                alpha=0.2,
                linewidth=0,
                label="within noise of the winner",
            )
        if failed:
            axis.plot(
                [trial.ended / second for trial in failed],
                [low] * len(failed),
                linestyle="none",
                marker="x",
                color=PALETTE[3],
                clip_on=False,
                label="failed",
            )
        place = times[by_time.index(winner)], best[-1]
        axis.annotate(
            f"trial {winner.id}: "
            f"{format_stat(ranking.accuracy[winner.id], 2, 100)} %",
            place,
            xytext=(0, 7),
            textcoords="offset points",
            ha="right" if place[0] > 0.7 * end else "left",
            fontsize=10,
        )
        axis.set_xlim(0, 1.02 * end)
        axis.set(xlabel=f"{unit} of searching", ylabel="accuracy, %")
        axis.legend(
            loc="upper left",
            bbox_to_anchor=(-0.02, -0.16),
            ncols=5,
            borderaxespad=0.0,
            columnspacing=1.5,
        )
    return figure


def unit_of(longest):
    """Seconds in the unit that suits, and its name."""
    for least, seconds, name in UNITS:
        if longest >= least:
            return seconds, name
    raise ValueError(
        "Invalid value for argument `longest`. Expected a time of at least 0. "
        f"Received: longest={longest!r}"
    )
