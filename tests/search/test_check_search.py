import json

import pytest

from keras_lbreg.search.check_in_child import check_in_child
from keras_lbreg.search.check_search import check_search
from keras_lbreg.techniques import SearchRange
from tests.search.small_search import block_tensorflow, small_search


def test_what_the_data_and_the_recipe_decide(tmp_path):
    facts = check_search(small_search(tmp_path))
    assert facts["resolved"] == {
        "batch_sizes": [32],
        "base_batch_size": 8,
        "epochs": 2,
        "samples": 77,
        "replicas": 1,
        "dreg_layer": -2,
    }
    assert facts["dataset"]["val_samples"] == 19
    assert facts["versions"]["keras_tuner"]
    assert [entry["config"]["name"] for entry in facts["space"]] == [
        "batch_size",
        "learning_rate_factor",
        "lr_scaling",
        "lr_scaling.rule",
        "lr_scaling.warmup_epochs",
        "ghost_batch_norm",
        "ghost_batch_norm.ghost_batch_size",
    ]
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"ranges": {"ghost_batch_norm": {"ghost_batch_size": 0}}},
            "`ghost_batch_size`.*above 0.*0",
        ),
        (
            {"techniques": ("dreg",), "ranges": {"dreg": {"layer": "nope"}}},
            "no such layer.*'nope'",
        ),
        (
            {
                "techniques": ("dreg",),
                "ranges": {"dreg": {"weight": SearchRange(-1.0, 1.0)}},
            },
            "`weight`.*-1",
        ),
        ({"batch_sizes": (32, 88)}, "`batch_size`.*training samples, 77.*88"),
        ({"batch_sizes": (8,)}, "`batch_size`.*small batch size, 8"),
        ({"devices": 2}, "`devices`.*strategy 'one'"),
        ({"holdout": 0.001}, "`holdout`"),
    ],
)
def test_mistakes_are_found(tmp_path, settings, message):
    settings = {"ranges": {}, **settings}
    with pytest.raises(ValueError, match=message):
        check_search(small_search(tmp_path, **settings))


def test_mistakes_come_from_the_other_process(tmp_path, monkeypatch):
    block_tensorflow(monkeypatch)
    search = small_search(tmp_path, batch_sizes=(88,))
    with pytest.raises(ValueError, match="training samples, 77"):
        check_in_child(search)
    assert not (tmp_path / "search").exists()


def test_the_death_of_the_other_process_is_told(tmp_path, monkeypatch):
    # Python itself cannot start: no seconds for importing anything.
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(RuntimeError, match="ended with exit code 1"):
        check_in_child(small_search(tmp_path))
