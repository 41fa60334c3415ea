"""Which trials are best, and how far that can be told from chance."""

import dataclasses
import math

from keras_lbreg.experiments.configuration_file import TUNED
from keras_lbreg.experiments.statistics import Stat, finals
from keras_lbreg.search.confirmation.confirm_experiment import read_confirmation


@dataclasses.dataclass(frozen=True)
class Ranking:
    """The completed trials of a search in their order, and the noise.

    Args:
        trials: The completed `Trial`s that trained longest, the best first.
        shorter: Completed `Trial`s that the tuner stopped earlier, the best
            first. Their accuracies do not compare.
        accuracy: The `Stat` of a trial's executions, by trial id.
        seed_std: Standard deviation of the accuracy between seeds, as a
            fraction; `nan` where nothing ran with two seeds.
        confirmed: Whether it is that of the winner's fresh seeds, for want of
            trials with two seeds.
        margin: Two standard errors of the difference of two trials; `nan`
            where `seed_std` is.
        within: The trials less than `margin` behind the best one.

    Example:

    >>> ranking = rank(read_search("runs/tune-digits"))
    >>> ranking.trials[0].id
    '007'

    Reference: `rank`.
    """

    trials: tuple
    shorter: tuple
    accuracy: dict
    seed_std: float
    confirmed: bool
    margin: float
    within: tuple


def rank(results):
    """Rank the completed trials of a search by their mean accuracy.

    The deviation `s` between seeds is pooled over the better half of the
    trials, since two or three seeds of the winner alone say little about it.
    Where a trial is a mean over `n` executions, two trials of equal merit
    differ by `s * sqrt(2 / n)` (one standard error), and

    ```
    margin = 2 * s * sqrt(2 / n)
    ```

    Where all trials ran with one seed, `s` is that of the winner in the
    comparison on fresh seeds, if there is one.

    Args:
        results: A `SearchResults`.

    Returns:
        A `Ranking`.

    Example:

    >>> len(rank(results).within)
    12

    Reference: the standard error of a difference of means, in any textbook.
    """
    completed = results.of_status("completed")
    accuracy = {
        trial.id: Stat.of(run.val_accuracy for run in trial.executions)
        for trial in completed
    }
    completed.sort(key=lambda trial: -trial.score)
    longest = max((trial.until for trial in completed), default=1.0)
    trials = [trial for trial in completed if trial.until == longest]
    shorter = [trial for trial in completed if trial.until < longest]
    better_half = trials[: math.ceil(len(trials) / 2)]
    std = pooled_std(accuracy[trial.id] for trial in better_half)
    confirmed = math.isnan(std)
    if confirmed:
        std = confirmed_std(results)
    margin, within = math.nan, ()
    if trials:
        best = accuracy[trials[0].id]
        margin = 2 * std * math.sqrt(2 / best.n)
        within = tuple(
            trial
            for trial in trials[1:]
            if best.mean - accuracy[trial.id].mean < margin
        )
    return Ranking(
        tuple(trials),
        tuple(shorter),
        accuracy,
        std,
        confirmed,
        margin,
        within,
    )


def confirmed_std(results):
    """The deviation between the winner's fresh seeds; `nan` without them."""
    comparison = read_confirmation(results)
    if comparison is None:
        return math.nan
    return Stat.of(finals(comparison, TUNED).values()).std


def pooled_std(stats):
    """The standard deviation that several samples have in common."""
    several = [stat for stat in stats if stat.n > 1]
    freedom = sum(stat.n - 1 for stat in several)
    if not freedom:
        return math.nan
    squares = sum((stat.n - 1) * stat.std**2 for stat in several)
    return math.sqrt(squares / freedom)
