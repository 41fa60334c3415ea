"""The result of a search in a few sentences."""

import math

from keras_lbreg.experiments.formatting import (
    accuracy_decimals,
    format_stat,
)
from keras_lbreg.search.pages.ranking import rank


def search_headline(results):
    """Say which trial is best and how many others might be as good.

    Args:
        results: A `SearchResults`.

    Returns:
        A string.

    Example:

    >>> print(search_headline(read_search("runs/tune-digits")))

    Reference: `keras_lbreg.search.pages.ranking.rank` defines the noise.
    """
    ranking = rank(results)
    if not ranking.trials:
        return "No trial has completed."
    winner = ranking.trials[0]
    stat = ranking.accuracy[winner.id]
    decimals = accuracy_decimals([stat])
    seeds = f" (mean ± deviation of {stat.n} seeds)" if stat.n > 1 else ""
    completed = len(ranking.trials) + len(ranking.shorter)
    text = (
        f"Trial {winner.id} is the best of {completed}: "
        f"{format_stat(stat, decimals, 100)} %{seeds} on "
        f"{judged_by(results)}. "
    )
    if winner.until < 1:
        text += shortened(results, winner)
    if math.isnan(ranking.margin):
        return (
            f"{text}With one seed for each trial nothing is known of the "
            "noise between seeds, and the best of many looks better than it "
            "is."
        )
    measured = ", by the winner's fresh seeds" if ranking.confirmed else ""
    return (
        f"{text}{others_within(len(ranking.within))} within noise of it, less "
        f"than {100 * ranking.margin:.{decimals}f} points behind (two standard "
        f"errors of a difference{measured}). The best of many looks better "
        "than it is."
    )


def shortened(results, winner):
    """What to say where no trial trained for all epochs."""
    epochs = results.manifest["resolved"]["epochs"]
    trained = winner.executions[0].epochs
    return (
        f"It trained for {trained} of {epochs} epochs, as no trial went on to "
        "the end: more trials are needed to tell which is best then. "
    )


def others_within(count):
    """How many trials, with their verb."""
    return f"{count or 'No'} other trial{' is' if count < 2 else 's are'}"


def judged_by(results):
    """Which data the accuracies of the trials are of."""
    count = results.manifest["dataset"]["val_samples"]
    # Where they are few, steps between accuracies are large.
    points = f"{100 / count:.2g}"
    noun = "point" if points == "1" else "points"
    samples = f"{count:,} samples, {points} {noun} each"
    if results.search["holdout"]:
        return f"held-out training data ({samples})"
    return f"the validation data ({samples})"
