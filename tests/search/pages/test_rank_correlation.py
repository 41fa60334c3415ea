"""Spearman's coefficient, against SciPy's."""

import numpy as np
import pytest
import scipy.stats

from keras_lbreg.search.pages.rank_correlation import rank_correlation


@pytest.mark.parametrize("choices", [3, 1000])
def test_agrees_with_scipy(choices):
    rng = np.random.default_rng(choices)
    x = rng.integers(choices, size=40)
    y = x + rng.normal(0, choices, size=40)
    expected = scipy.stats.spearmanr(x, y)
    found = rank_correlation(x, y)
    assert found.value == pytest.approx(expected.statistic)
    assert found.chance == pytest.approx(expected.pvalue)
    assert 0 < found.chance < 1


def test_perfect_order():
    assert rank_correlation([1, 2, 3, 4], [2, 3, 5, 90]).value == 1
    assert rank_correlation([1, 2, 3, 4], [2, 3, 5, 90]).chance == 0
    assert rank_correlation([1, 2, 3, 4], [9, 7, 5, 3]).value == -1


@pytest.mark.parametrize(
    ("x", "y"), [([], []), ([1, 2], [1, 2]), ([1, 1, 1, 1], [1, 2, 3, 4])]
)
def test_nothing_to_correlate(x, y):
    found = rank_correlation(x, y)
    assert (found.value, found.chance) == (0, 1)
