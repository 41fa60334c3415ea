"""The plots draw the numbers of the runs."""

import dataclasses

import numpy as np
import pytest

from keras_lbreg.experiments import plots
from keras_lbreg.experiments.curves import mean_curves
from keras_lbreg.experiments.plot_style import INK, arm_colors, to_png, to_svg
from keras_lbreg.experiments.results import read_results
from tests.experiments.fake_results import (
    ARMS,
    LARGE,
    LONGER,
    SCALED,
    SMALL,
    write_results,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return read_results(write_results(tmp_path_factory.mktemp("results")))


def lines_of(axis):
    """Drawn lines by the arm title that ends their label."""
    return {
        title: line
        for line in axis.get_lines()
        for title in [arm.title for arm in ARMS]
        if line.get_label().split("  ")[-1] == title
    }


def test_curves_are_means_over_seeds(results):
    curve = mean_curves(results)[1]
    runs = [list(LARGE.records(seed)) for seed in range(3)]
    accuracy = 100 * np.array([[r.val_accuracy for r in run] for run in runs])
    np.testing.assert_allclose(curve.accuracy, accuracy.mean(axis=0))
    np.testing.assert_allclose(curve.spread, accuracy.std(axis=0, ddof=1))
    np.testing.assert_array_equal(curve.epoch, np.arange(1, 21))
    np.testing.assert_array_equal(curve.updates, 2 * np.arange(1, 21))
    assert curve.seeds == 3


def test_failed_runs_and_missing_validation_are_left_out(tmp_path):
    write_results(tmp_path, failed=[("lr", 1)], unfinished=[("large_batch", 0)])
    curves = {
        curve.name: curve for curve in mean_curves(read_results(tmp_path))
    }
    assert curves["lr"].seeds == 2
    assert curves["lr"].accuracy[-1] == pytest.approx(94)
    assert curves["large_batch"].seeds == 2
    assert len(curves["large_batch"].epoch) == 20


def test_a_run_under_way_is_shown_where_none_has_finished(tmp_path):
    unfinished = [("lr", seed) for seed in range(3)]
    results = read_results(write_results(tmp_path, unfinished=unfinished))
    curves = {curve.name: curve for curve in mean_curves(results)}
    assert list(curves["lr"].epoch) == list(range(1, 11))


def test_one_seed_has_no_band(tmp_path):
    [curve, *_] = mean_curves(read_results(write_results(tmp_path, seeds=1)))
    assert np.all(curve.spread == 0)


@pytest.mark.parametrize(
    ("plot", "field"),
    [
        (plots.plot_accuracy_by_epoch, "epoch"),
        (plots.plot_accuracy_by_time, "wall_time"),
    ],
)
def test_accuracy_is_drawn_against_epoch_and_time(results, plot, field):
    [axis] = plot(results).axes
    lines = lines_of(axis)
    assert set(lines) == {arm.title for arm in ARMS}
    records = list(LONGER.records(0))
    line = lines[LONGER.title]
    x, y = line.get_data()
    np.testing.assert_allclose(x, [getattr(r, field) for r in records])
    assert y[-1] == pytest.approx(100 * np.mean(LONGER.final))
    # Regime adaptation is fifteen times as long as the others.
    assert axis.get_xscale() == "log"
    dashed = [n for n in axis.get_lines() if n.get_linestyle() == "--"]
    assert dashed[0].get_ydata()[0] == pytest.approx(100 * np.mean(SMALL.final))


def test_the_epoch_axis_is_linear_without_longer_training(tmp_path):
    results = read_results(write_results(tmp_path, (SMALL, LARGE, SCALED)))
    [axis] = plots.plot_accuracy_by_epoch(results).axes
    assert axis.get_xscale() == "linear"


def test_one_epoch_of_one_arm_is_drawn(tmp_path):
    short = dataclasses.replace(LARGE, epochs=1)
    results = read_results(write_results(tmp_path, [short], seeds=1))
    for plot in (plots.plot_accuracy_by_epoch, plots.plot_weight_distance):
        figure = plot(results)
        [line] = figure.axes[0].get_lines()
        assert line.get_marker() == "o"
        assert to_png(figure).startswith(b"\x89PNG")


def test_an_arm_that_does_not_learn_leaves_the_others_visible(tmp_path):
    lost = dataclasses.replace(SCALED, final=(0.1, 0.1, 0.1))
    arms = (SMALL, LARGE, lost, LONGER)
    results = read_results(write_results(tmp_path, arms))
    low, high = plots.plot_accuracy_by_epoch(results).axes[0].get_ylim()
    assert 50 < low < 90
    assert high > 97


def test_the_legend_is_ordered_by_final_accuracy(results):
    [axis] = plots.plot_accuracy_by_epoch(results).axes
    texts = [text.get_text() for text in axis.get_legend().get_texts()]
    finals = [float(text.split()[0]) for text in texts]
    assert finals == sorted(finals, reverse=True)
    assert texts[0].endswith(LONGER.title)
    assert texts[-1].endswith(LARGE.title)


def test_many_arms_are_shown_in_two_panels(tmp_path):
    alone = [
        dataclasses.replace(SCALED, name=name, title=name, group="alone")
        for name in ("lr_noise", "lr_dreg", "lr_mix")
    ]
    results = read_results(write_results(tmp_path, (*ARMS, *alone)))
    first, second = plots.plot_accuracy_by_epoch(results).axes
    assert set(lines_of(first)) == {arm.title for arm in ARMS}
    labels = " ".join(line.get_label() for line in second.get_lines())
    for title in ("lr_noise", "lr_dreg", "lr_mix", SMALL.title, LARGE.title):
        assert title in labels
    assert LONGER.title not in labels


def test_bars_are_the_shares_of_the_gap(results):
    [axis] = plots.plot_gap_closed(results).axes
    widths = [bar.get_width() for bar in axis.patches]
    gap = np.mean(SMALL.final) - np.mean(LARGE.final)
    np.testing.assert_allclose(
        widths,
        [
            100 * (np.mean(arm.final) - np.mean(LARGE.final)) / gap
            for arm in (SCALED, LONGER)
        ],
    )
    marks = sorted(line.get_xdata()[0] for line in axis.get_lines()[:2])
    assert marks == [0, 100]


def test_an_arm_that_diverged_leaves_room_for_the_others(tmp_path):
    broken = dataclasses.replace(SCALED, final=(0.1, 0.1, 0.1))
    arms = [broken if arm is SCALED else arm for arm in ARMS]
    [axis] = plots.plot_gap_closed(
        read_results(write_results(tmp_path, arms))
    ).axes
    left, right = axis.get_xlim()
    assert left == plots.SHOWN[0]
    assert 100 < right < plots.SHOWN[1]
    assert "cut off" in axis.get_xlabel()
    number = axis.get_yticklabels()[0].get_text().split()[-2]
    assert float(number) < plots.SHOWN[0]


def test_no_bars_without_a_gap(tmp_path):
    level = [dataclasses.replace(arm, final=(0.9,) * 3) for arm in ARMS]
    assert (
        plots.gap_closed_rows(read_results(write_results(tmp_path, level)))
        == []
    )


def test_weight_distance_is_fitted_by_a_logarithm(results):
    [axis] = plots.plot_weight_distance(results).axes
    assert axis.get_xscale() == "log"
    labels = [line.get_label() for line in axis.get_lines()]
    # The fake runs travel 2 + 1.5 log t until their learning rate falls.
    assert sum("b = 1.5" in label for label in labels) == len(ARMS)


def test_colours_tell_arms_apart(results):
    colors = arm_colors(results.arms)
    assert len(set(colors.values())) == len(colors)
    assert colors["small_batch"] == (INK, "-")


def test_png_and_svg(results):
    assert to_png(plots.plot_gap_closed(results)).startswith(b"\x89PNG")
    svg = to_svg(plots.plot_gap_closed(results))
    assert svg.startswith("<svg")
    assert "currentColor" in svg
    assert INK not in svg
    assert to_svg(plots.plot_gap_closed(results)) == svg
