"""The result of a search in a few sentences."""

import math

from keras_lbreg.experiments.formatting import (
    accuracy_decimals,
    format_stat,
)
from keras_lbreg.search.ranking import rank


def search_headline(results):
    """Say which trial is best and how many others might be as good.

    Args:
        results: A `SearchResults`.

    Returns:
        A string.

    Example:

    >>> print(search_headline(read_search("runs/tune-digits")))

    Reference: `keras_lbreg.search.ranking.rank` defines the noise.
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
    if math.isnan(ranking.margin):
        return (
            text + "With one seed for each trial nothing is known of the "
            "noise between seeds, and the best of many looks better than it "
            "is."
        )
    count = len(ranking.within)
    others = "1 other trial is" if count == 1 else f"{count or 'No'} other "
    if count != 1:
        others += "trials are" if count else "trial is"
    return (
        f"{text}{others} within noise of it, less than "
        f"{100 * ranking.margin:.{decimals}f} points behind (two standard "
        "errors of a difference). The best of many looks better than it is."
    )


def judged_by(results):
    """Which data the accuracies of the trials are of."""
    count = results.manifest["dataset"]["val_samples"]
    # Where they are few, steps between accuracies are large.
    samples = f"{count:,} samples, {100 / count:.2g} points each"
    if results.search["holdout"]:
        return f"held-out training data ({samples})"
    return f"the validation data ({samples})"
