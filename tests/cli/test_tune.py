import pytest
import typer.testing

import keras_lbreg as lbreg
from keras_lbreg.cli.app import app
from keras_lbreg.techniques import SearchRange
from tests.tuning.search_program import tune


def invoke(*arguments):
    return typer.testing.CliRunner().invoke(app, [*arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--budget", "2h"), "--budget"),
        (("--learning-rate-factor", "4..0.25"), "--learning-rate-factor"),
        (("--range", "dreg.weight"), "--range"),
        (("--range", "dreg.weight=0..1:log"), "positive"),
        (("--range", "dreg.weight=1..a"), "1..a"),
        (("--engine", "genetic"), "`engine`"),
    ],
)
def test_wrong_usage(arguments, message, tmp_path):
    result = invoke("tune", *arguments, "--out", str(tmp_path))
    assert result.exit_code == 2, result.output
    assert message in result.output


def test_a_search_is_printed_and_reported(tmp_path, monkeypatch):
    seen = {}
    found = tune(tmp_path, trials=2)

    def search(workload, **arguments):
        seen.update(arguments)
        return found

    monkeypatch.setattr(lbreg.tuning, "tune", search)
    options = "--batch-size 64 --batch-size 256 --always= --budget 90 --seed 3"
    options += " --learning-rate-factor 0.5..2 --range dreg.weight=0.01..1:log"
    options += " --range dreg.layer=a,b --range dreg.distance=bounded"
    options += " --range lr_scaling.warmup_epochs=0..3"
    result = invoke("tune", "digits", *options.split())
    assert result.exit_code == 0, result.output
    assert "is the best of 2" in result.output
    assert f"{found.best_path}" in result.output.replace("\n", "")
    expected = {
        "batch_size": [64, 256],
        "techniques": None,
        "always": [],
        "budget": 90,
        "seed": 3,
        "learning_rate_factor": (0.5, 2.0),
        "ranges": {
            "dreg": {
                "weight": SearchRange(0.01, 1, log=True),
                "layer": ["a", "b"],
                "distance": ["bounded"],
            },
            "lr_scaling": {"warmup_epochs": SearchRange(0, 3)},
        },
    }
    assert {key: seen[key] for key in expected} == expected
    found.report_path.unlink()
    again = invoke("report", str(tmp_path))
    assert again.exit_code == 0, again.output
    assert found.report_path.is_file()
