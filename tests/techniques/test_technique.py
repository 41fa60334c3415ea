import numpy as np
import pytest

from keras_lbreg.techniques import (
    Context,
    SearchRange,
    Technique,
    get,
    names,
    try_out,
)
from tests.techniques.networks import convolutional

CONTEXT = Context(seed=0, base_batch_size=2, batch_size=8)


def test_hyperparameters_are_defaults_with_overrides():
    technique = get("ghost_batch_norm")
    assert technique.hyperparameters() == dict(technique.defaults)
    changed = technique.hyperparameters({"ghost_batch_size": 16})
    assert changed == {"ghost_batch_size": 16, "statistics": "sequential"}
    assert technique.defaults["ghost_batch_size"] == 128
    with pytest.raises(ValueError, match="Received: \\['ghosts'\\]"):
        technique.hyperparameters({"ghosts": 3})
    with pytest.raises(ValueError, match="It has none"):
        get("regime_adaptation").hyperparameters({"factor": 3})


def test_search_space_must_name_hyperparameters():
    fields = {f: getattr(get("dreg"), f) for f in Technique.__annotations__}
    with pytest.raises(ValueError, match="search_space"):
        Technique(**{**fields, "search_space": {"lambda": None}})


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"low": 1.0},
        {"low": 2, "high": 1},
        {"low": 0, "high": 1, "log": True},
        {"low": 0, "high": 1, "choices": (1,)},
        {"choices": ()},
    ],
    ids=str,
)
def test_search_ranges_that_cannot_be(arguments):
    with pytest.raises(ValueError, match="Invalid search range"):
        SearchRange(**arguments)


@pytest.mark.parametrize("name", names())
def test_defaults_can_be_trained_with(name):
    model = convolutional()
    before = model.get_weights()
    technique = get(name)
    try_out(technique, technique.hyperparameters(), CONTEXT, model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("lr_scaling", {"rule": "cubic"}, "`rule`"),
        ("lr_scaling", {"warmup_epochs": -1}, "`warmup_epochs`"),
        ("ghost_batch_norm", {"statistics": "none"}, "`statistics`"),
        ("gradient_noise", {"alpha": -1}, "`alpha`"),
        ("dreg", {"paths": "all"}, r"`paths`.*Received: paths='all'"),
        ("dreg", {"layer": "nowhere"}, "`layer`"),
        ("gradient_mix", {"concentration": 0}, "`concentration`"),
        ("group_noise", {"stddev": -1}, "`stddev`"),
    ],
)
def test_values_out_of_range_are_found_before_training(
    name, overrides, message
):
    technique = get(name)
    settings = technique.hyperparameters(overrides)
    with pytest.raises(ValueError, match=message):
        try_out(technique, settings, CONTEXT, convolutional())
