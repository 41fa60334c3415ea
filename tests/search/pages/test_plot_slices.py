"""One panel for each hyperparameter."""

import numpy as np
import pytest

from keras_lbreg.experiments.plot_style import to_png
from keras_lbreg.search.pages.dimensions import dimensions
from keras_lbreg.search.pages.plot_slices import plot_slices
from keras_lbreg.search.read_search import read_search
from tests.search.fake_search import write_search


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return read_search(write_search(tmp_path_factory.mktemp("search")))


@pytest.fixture(scope="module")
def panels(results):
    return panels_of(results)


def panels_of(results):
    axes = plot_slices(results).axes
    names = [dimension.name for dimension in dimensions(results)]
    return dict(zip(names, axes, strict=False))


def marks(axis, *markers):
    lines = [x for x in axis.get_lines() if x.get_marker() in markers]
    return np.concatenate([np.array(x.get_data()) for x in lines], axis=1)


def test_a_panel_holds_the_trials_that_have_the_hyperparameter(results, panels):
    completed = results.of_status("completed")
    for name, axis in panels.items():
        own = [t for t in completed if name in t.values]
        # Where another technique takes its place, one is off.
        if "." not in name:
            own = completed
        assert marks(axis, "o", "v").shape[1] == len(own), name


def test_numbers_stand_at_their_value(results, panels):
    x, _ = marks(panels["dreg.weight"], "o", "v")
    weights = [
        trial.values["dreg.weight"]
        for trial in results.of_status("completed")
        if trial.values["dreg"]
    ]
    np.testing.assert_allclose(sorted(x), sorted(weights))
    assert panels["dreg.weight"].get_xscale() == "log"
    assert panels["gradient_noise.gamma"].get_xscale() == "linear"


def test_categories_are_named_and_not_mixed_up(results, panels):
    axis = panels["lr_scaling.rule"]
    texts = [text.get_text() for text in axis.get_xticklabels()]
    assert texts == ["linear", "sqrt"]
    x, _ = marks(axis, "o", "v")
    rules = [
        trial.values.get("lr_scaling.rule")
        for trial in results.of_status("completed")
    ]
    assert sum(np.rint(x) == 0) == rules.count("linear")
    assert sum(np.rint(x) == 1) == rules.count("sqrt")


def test_the_star_is_the_winner(results, panels):
    place = marks(panels["learning_rate_factor"], "*")
    np.testing.assert_allclose(
        place.ravel(),
        [
            results.best.values["learning_rate_factor"],
            100 * results.best.score,
        ],
    )


def test_only_a_correlation_above_chance_is_given(panels):
    # Scaling the rate is most of what the fake accuracy consists of.
    assert "ρ = +" in panels["lr_scaling"].get_title(loc="left")
    given = [x for x in panels.values() if "ρ" in x.get_title(loc="left")]
    assert len(given) <= 3


def test_few_trials_and_few_hyperparameters(tmp_path):
    values = [
        {"batch_size": 512, "learning_rate_factor": factor}
        | dict.fromkeys(("lr_scaling", "ghost_batch_norm"), False)
        for factor in (0.5, 2.0)
    ]
    results = read_search(
        write_search(tmp_path, trials=2, failed=(), values=values)
    )
    assert list(panels_of(results)) == ["learning_rate_factor"]
    assert to_png(plot_slices(results)).startswith(b"\x89PNG")
