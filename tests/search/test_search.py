import json

import keras
import pytest

from keras_lbreg.search import Search
from keras_lbreg.techniques import SearchRange, names


def test_defaults_are_those_of_the_register_and_of_the_session():
    search = Search()
    assert set(search.techniques) == {*names()} - {"regime_adaptation"}
    assert search.backend == keras.backend.backend()
    assert search.out_dir == "runs/tune-digits"
    assert Search("some/data.npz").out_dir == "runs/tune-data"


def test_it_survives_json():
    search = Search(
        "digits",
        batch_sizes=[256, 512],
        techniques=["dreg", "ghost_batch_norm"],
        always=["lr_scaling"],
        ranges={
            "dreg": {"weight": SearchRange(0.01, 1.0, log=True)},
            "ghost_batch_norm": {"ghost_batch_size": [16, 32]},
            "lr_scaling": {"rule": "sqrt"},
        },
        learning_rate_factor=None,
        budget=60,
    )
    content = json.loads(json.dumps(search.to_json()))
    assert Search.from_json(content) == search
    assert search.techniques == ("ghost_batch_norm", "dreg")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tuner": "best"}, "`tuner`.*one of random, hyperband.*'best'"),
        ({"trials": 0}, "`trials`.*Received: trials=0"),
        ({"trials": 1000}, "`trials`.*at most 999"),
        ({"executions": 0.5}, "`executions`"),
        ({"workers": True}, "`workers`"),
        ({"budget": -1}, "`budget`.*seconds.*-1"),
        ({"budget": float("inf")}, "`budget`"),
        ({"seed": -1}, "`seed`.*at least 0"),
        ({"confirm_seeds": None}, "`confirm_seeds`"),
        ({"epochs": 0}, "`epochs`"),
        ({"holdout": 1}, "`holdout`.*below 1"),
        ({"batch_sizes": "512"}, "`batch_sizes`.*a sequence"),
        ({"batch_sizes": (512, 512)}, "`batch_sizes`.*different"),
        ({"techniques": ("drag",)}, "Expected one of.*'drag'"),
        ({"techniques": "dreg"}, "`techniques`.*a sequence"),
        ({"always": ("dreg",), "techniques": ("dreg",)}, "`always`"),
        ({"ranges": {"dreg": {"wait": 1}}}, "'dreg'.*wait"),
        ({"learning_rate_factor": (4, 1)}, "`learning_rate_factor`"),
        ({"strategy": "many"}, "`strategy`"),
        ({"strategy": "multi-worker"}, "`strategy`.*one process"),
        ({"virtual_devices": 0}, "`virtual_devices`"),
        ({"backend": "torch"}, "`backend`.*tensorflow, jax"),
    ],
)
def test_arguments_without_meaning_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Search(**settings)
