"""The best accuracy so far, drawn over the time of the search."""

import numpy as np
import pytest

from keras_lbreg.experiments.plot_style import to_png
from keras_lbreg.search.pages.plot_progress import plot_progress, unit_of
from keras_lbreg.search.pages.ranking import rank
from keras_lbreg.search.read_search import read_search
from tests.search.fake_search import write_search


def drawn(results):
    """Lines and patches by label."""
    [axis] = plot_progress(results).axes
    return dict(
        zip(*reversed(axis.get_legend_handles_labels()), strict=True)
    ), axis


def test_the_line_is_the_running_maximum(tmp_path):
    results = read_search(write_search(tmp_path))
    shown, _ = drawn(results)
    x, y = shown["best so far"].get_data()
    ended = [t for t in results.trials if t.status == "completed"]
    scores = [100 * trial.score for trial in ended]
    np.testing.assert_allclose(y[:-1], np.maximum.accumulate(scores))
    np.testing.assert_allclose(x[:-1], [trial.ended / 60 for trial in ended])
    assert y[-1] == pytest.approx(100 * results.best.score)


def test_every_trial_has_its_mark(tmp_path):
    results = read_search(write_search(tmp_path))
    shown, axis = drawn(results)
    low = axis.get_ylim()[0]
    count = sum(
        len(line.get_xdata())
        for line in axis.get_lines()
        if line.get_marker() in ("o", "v")
    )
    assert count == len(results.of_status("completed"))
    failed = shown["failed"].get_data()
    np.testing.assert_allclose(
        failed[0], [t.ended / 60 for t in results.of_status("failed")]
    )
    assert set(failed[1]) == {low}


def test_the_band_is_the_noise(tmp_path):
    results = read_search(write_search(tmp_path, executions=3))
    ranking = rank(results)
    shown, _ = drawn(results)
    band = shown["within noise of the winner"].get_bbox()
    top = 100 * results.best.score
    assert band.y1 == pytest.approx(top)
    assert band.y0 == pytest.approx(top - 100 * ranking.margin)


def test_without_seeds_there_is_no_band(tmp_path):
    results = read_search(write_search(tmp_path, executions=1))
    assert "within noise of the winner" not in drawn(results)[0]


def test_trials_stopped_early_do_not_count_as_best(tmp_path):
    results = read_search(
        write_search(tmp_path, trials=20, failed=(), short=range(15))
    )
    shown, _ = drawn(results)
    assert "stopped early" in shown
    assert len(shown["best so far"].get_xdata()) == 5 + 1


def test_one_trial(tmp_path):
    results = read_search(write_search(tmp_path, trials=1, failed=()))
    assert to_png(plot_progress(results)).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("seconds", "unit"),
    [(30, "seconds"), (600, "minutes"), (10000, "hours")],
)
def test_the_unit_suits_the_length(seconds, unit):
    assert unit_of(seconds)[1] == unit
