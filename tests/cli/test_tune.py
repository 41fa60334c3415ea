import json

import pytest
import typer.testing

import keras_lbreg as lbreg
from keras_lbreg.cli import tune as module
from keras_lbreg.cli.app import app
from keras_lbreg.techniques import SearchRange
from tests.tuning.search_program import tune


def invoke(*arguments):
    return typer.testing.CliRunner().invoke(app, ["tune", *arguments])


def test_what_options_stand_for():
    assert module.parse_batch_sizes("1024,4096") == [1024, 4096]
    assert module.parse_budget("1h30m") == 90
    assert module.parse_budget("90s") == 1.5
    assert module.parse_factor("0.5..2") == (0.5, 2.0)
    assert module.parse_factor("none") is None
    found = module.parse_ranges(
        ["dreg.weight=0.01..1:log", "lr_scaling.warmup_epochs=0..3"],
        ["dreg.distance=bounded"],
    )
    assert found == {
        "dreg": {
            "distance": ("bounded",),
            "weight": SearchRange(0.01, 1.0, log=True),
        },
        "lr_scaling": {"warmup_epochs": SearchRange(0, 3)},
    }
    assert module.parse_ranges(["dreg.layer=a,-1"], None) == {
        "dreg": {"layer": ("a", -1)}
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--batch-size", "many"), "--batch-size"),
        (("--budget", "2"), "--budget"),
        (("--learning-rate-factor", "4..0.25"), "--learning-rate-factor"),
        (("--range", "dreg.weight"), "no TECHNIQUE.NAME=VALUES"),
        (("--range", "dreg.weight=0..1:log"), "no logarithm"),
        (("--range", "dreg.weight=1..a"), "a bound is no number"),
        (("--set", "dreg"), "--set"),
        (("--engine", "genetic"), "`engine`"),
    ],
)
def test_wrong_usage(arguments, message, tmp_path):
    result = invoke(*arguments, "--out", str(tmp_path))
    assert result.exit_code == 2, result.output
    assert message in result.output


def test_a_search_is_printed_and_reported(tmp_path, monkeypatch):
    seen = {}
    found = tune(tmp_path, trials=2)

    def search(workload, **arguments):
        seen.update(arguments)
        return found

    monkeypatch.setattr(lbreg.tuning, "tune", search)
    result = invoke("digits", "--always", "", "--trials", "2", "--seed", "3")
    assert result.exit_code == 0, result.output
    assert "is the best of 2" in result.output
    assert f"{tmp_path / 'best.json'}" in result.output.replace("\n", "")
    assert (seen["always"], seen["trials"], seen["seed"]) == ((), 2, 3)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["command"] == "tune"
    (tmp_path / "report.html").unlink()
    again = typer.testing.CliRunner().invoke(app, ["report", str(tmp_path)])
    assert again.exit_code == 0, again.output
    assert (tmp_path / "report.html").is_file()
