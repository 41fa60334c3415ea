"""The best trials are told apart, whatever the worst ones do."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_lbreg.search.pages.accuracy_axis import (
    best_limits,
    draw_trials,
    zoom_on_the_best,
)


def test_the_worst_do_not_squeeze_the_best():
    low, top = best_limits([97.0, 96.0, 95.0, 60.0, 10.0])
    assert top == 97
    # Twice what lies above the median.
    assert low == 93


@pytest.mark.parametrize(
    ("percents", "low"),
    [([97.0, 94.0, 93.0, 92.0], 92.0), ([97.0], 96.0), ([97.0, 97.0], 96.0)],
)
def test_no_more_than_there_is_and_never_nothing(percents, low):
    assert best_limits(percents) == (low, 97.0)


def test_what_falls_out_is_a_triangle_at_the_foot():
    percents = [97.0, 96.0, 95.0, 60.0, 10.0]
    axis = Figure().subplots()
    low, high = zoom_on_the_best(axis, percents)
    draw_trials(axis, range(5), percents, "k", label="trial")
    dots, triangles = axis.get_lines()
    np.testing.assert_array_equal(dots.get_data(), [[0, 1, 2], [97, 96, 95]])
    assert triangles.get_marker() == "v"
    np.testing.assert_array_equal(triangles.get_xdata(), [3, 4])
    foot = low + 0.05 * (high - low)
    assert all(low < y < foot for y in triangles.get_ydata())
    assert len(axis.get_legend_handles_labels()[1]) == 1


def test_no_trials_leave_no_mark():
    axis = Figure().subplots()
    draw_trials(axis, [], [], "k", label="trial")
    assert not axis.get_lines()
