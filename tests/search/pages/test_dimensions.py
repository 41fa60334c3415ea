"""Hyperparameters as axes."""

import itertools

import pytest

from keras_lbreg.search.pages.dimensions import (
    dimensions,
    format_value,
    settings_of,
    shortened,
    spread,
)
from keras_lbreg.search.read_search import read_search
from tests.search.fake_search import write_search


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return read_search(write_search(tmp_path_factory.mktemp("search")))


@pytest.fixture(scope="module")
def by_name(results):
    return {dimension.name: dimension for dimension in dimensions(results)}


def test_every_hyperparameter_that_varies_is_there(by_name):
    assert "batch_size" not in by_name  # There is one.
    assert len(by_name) == 20
    groups = [x.technique for x in by_name.values()]
    # One technique after another.
    assert len({*groups}) == 1 + sum(
        a != b for a, b in itertools.pairwise(groups)
    )
    assert next(iter(by_name)) == "learning_rate_factor"


def test_values_are_those_of_the_trials_that_have_them(results, by_name):
    weight = by_name["dreg.weight"]
    for trial in results.trials:
        assert weight.values.get(trial.id) == trial.values.get("dreg.weight")
        assert by_name["dreg"].values[trial.id] == trial.values["dreg"]
    assert 0 < len(weight.values) < len(results.trials)


def test_scales_are_those_of_the_space(by_name):
    assert by_name["dreg.weight"].log
    assert by_name["learning_rate_factor"].log
    assert by_name["dreg.weight"].choices is None
    assert not by_name["gradient_noise.gamma"].log
    assert by_name["gradient_noise.gamma"].choices is None


def test_categories_are_in_order(by_name):
    assert by_name["lr_scaling"].choices == (False, True)
    assert by_name["gradient_mix.groups"].choices == (4, 8, 16, 32)
    # An integer range of few values.
    assert by_name["lr_scaling.warmup_epochs"].choices == tuple(range(6))
    assert by_name["dreg.layer"].choices == ("dense", "dense_1", "dense_2")
    assert by_name["dreg.layer"].place("dense_2") == 2
    assert by_name["dreg.weight"].place(0.5) == 0.5


def test_labels(by_name):
    assert by_name["dreg.path_reduction"].label == "DReg: path reduction"
    assert by_name["ghost_batch_norm"].label == "GBN"
    assert by_name["learning_rate_factor"].label == "learning rate factor"


def test_settings_leave_out_what_is_off(results):
    for trial in results.trials:
        settings = settings_of(trial)
        expected = {k: v for k, v in trial.values.items() if v is not False}
        assert settings == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "on"), (False, "off"), (0.012345, "0.0123"), (4096, "4,096")],
)
def test_values_as_text(value, text):
    assert format_value(value) == text


def test_long_names_keep_their_end():
    assert shortened("dense_1") == "dense_1"
    assert shortened("backbone/conv5_block3_2_conv") == "…block3_2_conv"


def test_offsets_stay_within_a_category_and_apart():
    offsets = sorted(spread(30))
    assert -0.25 <= offsets[0] < offsets[-1] <= 0.25
    gaps = [b - a for a, b in itertools.pairwise(offsets)]
    assert min(gaps) > 0.005
