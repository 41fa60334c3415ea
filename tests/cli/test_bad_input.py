"""What is wrong on a command line ends in one panel that says so."""

import pytest

from keras_lbreg.cli.options import parse_settings


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["compare", "digits", "--arms", "lr,lr_gnb"], ["lr_gnb", "lr_gbn"]),
        (["compare", "digits", "--arms", ","], ["--arms", "small_batch"]),
        (["compare", "digits", "--batch-size", 0], ["batch_size=0"]),
        (["compare", "digits", "--small-batch-size", 0], ["batch_size=0"]),
        (["compare", "digits", "--epochs", 0], ["epochs=0", "above 0"]),
        (["compare", "digits", "--seeds", 0], ["seeds=0", "above 0"]),
        (["compare", "digits", "--seeds", "three"], ["--seeds", "integer"]),
        (["compare", "digits", "--set", "weight=1"], ["TECHNIQUE.NAME=VALUE"]),
        (["compare", "digits", "--set", "dreg.wait=1"], ["wait", "weight"]),
        (["compare", "digits", "--backend", "torch"], ["tensorflow, jax"]),
        (["compare", "digits", "--strategy", "two"], ["'two'", "mirrored"]),
        (
            ["compare", "digits", "--virtual-devices", 0],
            ["--virtual-devices", " 1"],
        ),
        (["compare", "digits", "--nosuch"], ["--nosuch"]),
        (["compare", "digit"], ["Did you mean 'digits'?"]),
        (["compare", "nosuch.py"], ["nosuch.py"]),
        (["compare", "--config", "nosuch.json"], ["nosuch.json"]),
        (["train", "digits", "--arm", "nosuch"], ["small_batch"]),
        (["train", "digits", "--out", "model"], [".keras"]),
        (["scale-up", "digits", "--trials", 0], ["trials=0", "above 0"]),
        (["scale-up", "digits", "--curve", "a"], ["--curve", "64,256"]),
        (
            ["scale-up", "digits", "--optimizers", "adam"],
            ["['adam']", "lars, lamb"],
        ),
        (["report", "nosuch"], ["nosuch", "manifest.json"]),
        (["new", "notes.txt"], [".py"]),
        (["analyze", "digits", "a.keras", "--what", "sharp"], ["hessian"]),
        (
            ["analyze", "digits", "a.keras", "--what", "interpolation"],
            ["two models"],
        ),
        (["launch", "--workers", 2, "nosuch"], ["nosuch", "compare"]),
        (["data", "export", "digits", "a.csv"], [".npz"]),
        (["data", "export", "digits", "a.npz", "--image-size=9.5"], ["9.5"]),
    ],
    ids=lambda value: "-".join(map(str, value)),
)
def test_bad_input(lbreg, tmp_path, words, fragments):
    result = lbreg(*words)
    assert result.exit_code == 2, result.text
    assert "╭" in result.text
    for fragment in fragments:
        assert fragment in result.text
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_users_file_is_shown_with_its_lines(
    tmp_path, monkeypatch
):
    from typer.testing import CliRunner

    from keras_lbreg.cli.app import app

    monkeypatch.chdir(tmp_path)
    lines = "def workload():\n    return helper()\ndef helper():\n    1 / 0\n"
    (tmp_path / "mine.py").write_text(lines)
    result = CliRunner().invoke(app, ["compare", "mine.py"])
    assert result.exit_code == 2
    assert "line 4, in helper" in result.output
    assert "mine.py raised ZeroDivisionError" in result.output
    assert "keras_lbreg" not in result.output
    assert "importlib" not in result.output


def test_another_backend_than_the_running_one(lbreg):
    import keras

    other = {"tensorflow": "jax", "jax": "tensorflow"}[keras.backend.backend()]
    result = lbreg("compare", "digits", "--backend", other)
    assert result.exit_code == 2
    assert f"Expected {other}. Set the environment variable" in result.text


def test_settings():
    assert parse_settings(
        ["dreg.weight=0.1", "dreg.layer=dense_2", "lr_scaling.rule=linear"]
    ) == {
        "dreg": {"weight": 0.1, "layer": "dense_2"},
        "lr_scaling": {"rule": "linear"},
    }
