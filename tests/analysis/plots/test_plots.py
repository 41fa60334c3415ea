"""The numbers that the figures show."""

import numpy as np
import pytest

from keras_lbreg.analysis.plots.bars import plot_eigenvalues, plot_sharpness
from keras_lbreg.analysis.plots.interpolation import plot_interpolation
from keras_lbreg.analysis.plots.noise_scale import plot_noise_scale
from keras_lbreg.experiments.plot_style import to_png


def record(name, result, **settings):
    return {
        "models": [{"name": name}],
        "settings": settings,
        "result": result,
    }


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_a_panel_for_each_epsilon_and_a_bar_for_each_model():
    records = [
        record(name, {"sharpness": value}, epsilon=epsilon)
        for epsilon in (1e-3, 5e-4)
        for name, value in (("small", 1.5), ("large", 30.0))
    ]
    figure = plot_sharpness(records)
    assert [axis.get_title("left") for axis in figure.axes] == [
        "ε = 0.001",
        "ε = 0.0005",
    ]
    for axis in figure.axes:
        assert [bar.get_width() for bar in axis.patches] == [1.5, 30.0]
        assert texts(axis) == ["1.5", "30"]
    assert to_png(figure).startswith(b"\x89PNG")


def test_points_where_bars_would_vanish():
    values = [0.002, 5.0, 80.0]
    (axis,) = plot_sharpness(
        [record("m", {"sharpness": v}, epsilon=1e-3) for v in values]
    ).axes
    assert axis.get_xscale() == "log"
    assert [line.get_xdata()[0] for line in axis.lines] == values
    assert texts(axis) == ["0.002", "5", "80"]


def test_eigenvalues_with_their_learning_rate():
    (axis,) = plot_eigenvalues(
        [record("a", {"eigenvalue": 4.0}), record("b", {"eigenvalue": -1.0})]
    ).axes
    assert texts(axis) == ["4   (2/λ = 0.5)", "-1"]
    left, right = axis.get_xlim()
    assert left <= -1
    assert right > 4


def noise(name, noise_scale, low, high):
    result = {"noise_scale": noise_scale, "low": low, "high": high}
    return record(name, {**result, "big_batch": 64})


def test_intervals_of_noise_scales():
    records = [noise("a", 500.0, 300.0, 900.0), noise("b", None, 80.0, None)]
    figure = plot_noise_scale(records)
    (axis,) = figure.axes
    assert axis.get_xscale() == "log"
    first, point, second, arrow = axis.lines
    assert list(first.get_xdata()) == [300, 900]
    assert point.get_xdata()[0] == 500
    assert second.get_xdata()[0] == 80
    assert arrow.get_marker() == ">"
    assert texts(axis) == ["500", "no signal found, above 80"]


@pytest.mark.parametrize("low", [None, 0.0])
def test_an_interval_without_a_lower_end(low):
    assert to_png(plot_noise_scale([noise("a", None, low, None)]))


def test_curves_on_the_line_through_two_models():
    result = {
        "positions": [-1, 0, 1, 2],
        "loss": {"train": [3, 0.1, 0.2, None], "val": [3, 0.4, 0.5, None]},
        "accuracy": {
            "train": [0.1, 1, 0.9, 0.2],
            "val": [0.1, 0.8, 0.7, 0.2],
        },
    }
    line = record("small", result)
    line["models"].append({"name": "large"})
    loss, accuracy = plot_interpolation([line]).axes
    np.testing.assert_array_equal(
        loss.lines[0].get_ydata(), [3, 0.1, 0.2, np.nan]
    )
    np.testing.assert_allclose(accuracy.lines[1].get_ydata(), [10, 80, 70, 20])
    for axis in (loss, accuracy):
        assert texts(axis) == ["small", "large"]
        assert [x.get_xdata()[0] for x in axis.lines[2:]] == [0, 1]
