"""`lbreg train --config` and `lbreg compare --config`."""

import json
import pathlib
import shlex

import keras
import pytest
from typer.testing import CliRunner

from keras_lbreg.cli.app import app
from keras_lbreg.experiments import read_results
from keras_lbreg.experiments.configuration_file import (
    ConfigurationFile,
    write_configuration,
)
from keras_lbreg.experiments.manifest import read_manifest
from keras_lbreg.experiments.reproduce import compare_command
from tests.experiments.small_problem import save_blobs

TECHNIQUES = {
    "lr_scaling": {"rule": "linear", "warmup_epochs": 1},
    "ghost_batch_norm": {"ghost_batch_size": 16, "statistics": "mean"},
}


@pytest.fixture
def lbreg(tmp_path, monkeypatch):
    """Runs `lbreg` in a folder with data and a configuration for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    found = ConfigurationFile(
        save_blobs(tmp_path), 32, 8, 2, TECHNIQUES, learning_rate_factor=1.5
    )
    write_configuration("best.json", found)

    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    return run


def check_tuned(arm):
    assert (arm["name"], arm["batch_size"], arm["epochs"]) == ("tuned", 32, 2)
    # The linear rule's factor is 4, on the recipe's rate.
    assert arm["learning_rate"] == pytest.approx(0.02 * 4 * 1.5)
    assert arm["techniques"] == TECHNIQUES


def test_train_takes_everything_from_the_file(lbreg):
    result = lbreg("train", "--config", "best.json", "--strategy", "one")
    assert result.exit_code == 0, result.output
    assert "learning rate 0.08 -> 0.12 (x1.5)" in result.output
    assert "Tuned, seed 0: 2 epochs" in result.output
    check_tuned(read_manifest("runs/train-blobs")["arms"][0])
    assert keras.saving.load_model("model.keras").count_params()
    assert "was found on" not in result.output


def test_train_on_other_data_says_so(lbreg, tmp_path):
    (tmp_path / "blobs.npz").rename("other.npz")
    words = ["train", "other.npz", "--config", "best.json"]
    result = lbreg(*words, "--strategy", "one")
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "blobs.npz; it is used on other.npz here" in text
    check_tuned(read_manifest("runs/train-other")["arms"][0])


def test_compare_adds_the_tuned_arm_and_its_command_repeats_it(lbreg):
    words = ["--config", "best.json", "--seeds", 1, "--first-seed", 7]
    arms = ["--arms", "large_batch"]
    result = lbreg("compare", *arms, *words, "--out", "runs/mine")
    assert result.exit_code == 0, result.output
    results = read_results("runs/mine")
    assert results.arm_names == ["large_batch", "tuned"]
    assert [run.seed for run in results.runs] == [7, 7]
    check_tuned(results.arms[-1])
    [tuned] = results.runs_of("tuned")
    assert tuned.status == "finished"
    # The folder holds what its own command needs.
    command = compare_command(results.manifest, results.path)
    assert command in pathlib.Path("runs/mine/report.html").read_text()
    _, *words = shlex.split(command)
    again = lbreg(*words[: words.index("--backend")], "--out", "runs/again")
    assert again.exit_code == 0, again.output
    [repeated] = read_results("runs/again").runs_of("tuned")
    assert repeated.final_val_accuracy == tuned.final_val_accuracy
    assert repeated.epochs[-1].loss == tuned.epochs[-1].loss


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train", ["--arm", "lr"]),
        ("train", ["--batch-size", "64"]),
        ("compare", ["--small-batch-size", "4", "--epochs", "3"]),
        ("compare", ["--set", "dreg.weight=0.1"]),
    ],
)
def test_options_that_the_file_answers_are_refused(lbreg, command, words):
    result = lbreg(command, "--config", "best.json", *words)
    assert result.exit_code == 2
    assert "Invalid value for option `--config`" in result.output
    assert f"with {', '.join(words[::2])}" in result.output
    assert not pathlib.Path("runs").exists()


def test_a_file_that_is_no_configuration_is_refused(lbreg):
    result = lbreg("train", "--config", "nowhere.json")
    assert result.exit_code == 2
    assert "nowhere.json" in result.output
    pathlib.Path("best.json").write_text(json.dumps({"schema": 3}))
    result = lbreg("compare", "--config", "best.json")
    assert result.exit_code == 2
    assert "configuration schema 3" in result.output
