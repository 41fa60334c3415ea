"""The command says the same as the search."""

import shlex

import pytest
from typer.testing import CliRunner

from keras_lbreg.cli.app import app
from keras_lbreg.search.pages.tune_command import LEFT_OUT, tune_command
from keras_lbreg.search.search import Search
from keras_lbreg.techniques import SearchRange

SEARCHES = {
    "default": Search("digits"),
    "everything": Search(
        "my data.npz",
        batch_sizes=(256, 512),
        techniques=("dreg", "gradient_noise"),
        always=("lr_scaling",),
        tuner="hyperband",
        trials=7,
        executions=2,
        budget=5400.0,
        seed=3,
        small_batch_size=32,
        epochs=9,
        learning_rate_factor=(0.5, 2.0),
        ranges={
            "dreg": {
                "weight": SearchRange(1e-7, 1.0, log=True),
                "distance": ("bounded",),
                "layer": ("dense", "dense_1"),
            },
            "lr_scaling": {"warmup_epochs": SearchRange(0, 3)},
        },
        holdout=0.2,
        confirm_seeds=5,
        strategy="auto",
        devices=2,
        virtual_devices=4,
    ),
    "no factor": Search("digits", learning_rate_factor=None),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_the_command_line_gives_the_search_back(name, monkeypatch):
    search = SEARCHES[name]
    words = shlex.split(tune_command(search.to_json()))
    assert words[:3] == ["lbreg", "tune", search.dataset]
    seen = {}

    def record(again, *args, **settings):
        seen["search"] = again
        raise ZeroDivisionError

    monkeypatch.setattr("keras_lbreg.search.run_search", record)
    CliRunner().invoke(app, words[1:])
    given, again = search.to_json(), seen["search"].to_json()
    for key in LEFT_OUT[2:]:
        del given[key], again[key]
    assert again == given


def test_defaults_are_left_out():
    search = Search("digits", backend="tensorflow", workers=3, out_dir="here")
    assert tune_command(search.to_json()) == (
        "lbreg tune digits --backend tensorflow"
    )
