import pathlib

import pytest

from keras_lbreg.experiments import arm_names, standard_arms
from keras_lbreg.techniques import TECHNIQUES, Context, get, names
from keras_lbreg.techniques.technique import Technique

CARDS = pathlib.Path(__file__).parents[2] / "docs" / "methods"
HOOKS = ("regime", "model", "optimizer", "data", "callbacks", "finalize")


def test_names_are_unique_and_found_again():
    assert len(set(names())) == len(TECHNIQUES)
    assert [get(name) for name in names()] == list(TECHNIQUES)


def test_unknown_technique_lists_the_candidates():
    with pytest.raises(ValueError, match=r"'dreg'.*Received: 'drag'"):
        get("drag")


@pytest.mark.parametrize("technique", TECHNIQUES, ids=names())
def test_technique_is_complete(technique):
    assert any(getattr(technique, hook) for hook in HOOKS)
    assert technique.paper
    assert technique.helps_when
    assert technique.public_names
    assert set(technique.search_space) <= set(technique.defaults)
    for low_high in technique.search_space.values():
        assert low_high.choices or low_high.low < low_high.high


@pytest.mark.parametrize("technique", TECHNIQUES, ids=names())
def test_technique_has_an_arm(technique):
    arms = [a.name for a in standard_arms() if technique.name in a.techniques]
    assert arms


@pytest.mark.parametrize("technique", TECHNIQUES, ids=names())
def test_public_names_exist(technique):
    import keras_lbreg

    for name in technique.public_names:
        assert hasattr(keras_lbreg, name)


@pytest.mark.parametrize("technique", TECHNIQUES, ids=names())
def test_card_exists(technique):
    assert (CARDS / f"{technique.card}.md").is_file()


def test_hyperparameters_are_defaults_with_overrides():
    technique = get("ghost_batch_norm")
    assert technique.hyperparameters() == dict(technique.defaults)
    changed = technique.hyperparameters({"ghost_batch_size": 16})
    assert changed == {"ghost_batch_size": 16, "statistics": "sequential"}
    assert technique.defaults["ghost_batch_size"] == 128
    with pytest.raises(ValueError, match="Received: \\['ghosts'\\]"):
        technique.hyperparameters({"ghosts": 3})


def test_search_space_must_name_hyperparameters():
    fields = {f: getattr(get("dreg"), f) for f in Technique.__annotations__}
    with pytest.raises(ValueError, match="search_space"):
        Technique(**{**fields, "search_space": {"lambda": None}})


def test_the_issue_s_arms():
    assert arm_names() == [
        "small_batch",
        "large_batch",
        "lr",
        "lr_gbn",
        "lr_gbn_ra",
        "lr_noise",
        "lr_dreg",
        "lr_mix",
        "lr_group_noise",
        "all",
        "lr_doubled",
    ]


def test_regime_hooks_return_arguments_of_scaled():
    context = Context(seed=0, base_batch_size=16, batch_size=512)
    lr = get("lr_scaling")
    assert lr.regime(lr.hyperparameters({"rule": "linear"}), context) == {
        "rule": "linear",
        "warmup_epochs": 0,
    }
