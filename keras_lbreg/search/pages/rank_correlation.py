"""Rank correlation of a hyperparameter and the accuracy."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class RankCorrelation:
    """Spearman's coefficient.

    Args:
        value: Between -1 and 1; 0 where there is nothing to correlate.
        chance: Two-sided p-value: how often unrelated numbers would give as
            much.

    Example:

    >>> rank_correlation([1, 2, 3, 4], [1.0, 1.1, 1.5, 9.0]).value
    1.0

    Reference: `rank_correlation`.
    """

    value: float
    chance: float


def rank_correlation(x, y):
    """Spearman's coefficient of two sequences, with a p-value.

    It is Pearson's coefficient `r` of the ranks; equal values share the mean
    of their ranks. The p-value is that of

    ```
    t = r * sqrt((n - 2) / (1 - r^2))
    ```

    under Student's law with `n - 2` degrees of freedom. It is marginal: what
    a hyperparameter does together with another one does not show.

    Args:
        x: Numbers.
        y: As many numbers.

    Returns:
        A `RankCorrelation`.

    Example:

    >>> rank_correlation([1, 2, 3], [3, 2, 1]).value
    -1.0

    Reference: Spearman 1904, "The proof and measurement of association
    between two things".
    """
    ranks = ranks_of(x), ranks_of(y)
    count = len(ranks[0])
    if count < 3 or any(np.ptp(own) == 0 for own in ranks):
        return RankCorrelation(0.0, 1.0)
    value = float(np.corrcoef(*ranks)[0, 1])
    if abs(value) > 1 - 1e-12:
        return RankCorrelation(round(value), 0.0 if count > 3 else 1.0)
    # Not above: SciPy takes longer to import than all the rest.
    from scipy.special import stdtr

    t = abs(value) * math.sqrt((count - 2) / (1 - value**2))
    return RankCorrelation(value, float(2 * stdtr(count - 2, -t)))


def ranks_of(values):
    """The rank of each value; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(
        np.asarray(values, "float64"), return_inverse=True, return_counts=True
    )
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
