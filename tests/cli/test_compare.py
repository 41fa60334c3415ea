"""The commands that train, on the real engine and a few epochs."""

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from keras_lbreg.cli.app import app
from keras_lbreg.cli.options import parse_settings
from keras_lbreg.experiments.manifest import read_manifest
from keras_lbreg.experiments.results import read_results

ARGUMENTS = [
    "--arms",
    "small_batch,large_batch",
    "--small-batch-size",
    "64",
    "--batch-size",
    "256",
    "--epochs",
    "2",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("compare") / "runs"


@pytest.fixture(scope="module")
def compared(folder):
    words = ["compare", "digits", *ARGUMENTS, "--seeds", "1"]
    return CliRunner().invoke(app, [*words, "--out", str(folder)])


def test_compare_prints_and_writes_everything(compared, folder):
    assert compared.exit_code == 0, compared.output
    assert "batch size 64 -> 256 (x4)" in compared.output
    assert "[2/2] Large batch, seed 0: val accuracy" in compared.output
    assert "One seed only" in compared.output
    for name in ("report.html", "table.md", "table.csv", "manifest.json"):
        assert (folder / name).is_file()
    [small, large] = read_results(folder).runs
    assert small.updates == 2 * 16
    assert large.updates == 2 * 4
    without = keras.backend.backend() != "tensorflow"
    assert ("No TensorBoard logs" in compared.output) == without
    assert (folder / "tensorboard").exists() == (not without)
    final = f"{100 * small.final_val_accuracy:.1f}"
    assert final in compared.output


def test_the_same_command_repeats_nothing(compared, folder):
    before = read_results(folder)
    words = ["compare", "digits", *ARGUMENTS, "--seeds", "1"]
    result = CliRunner().invoke(app, [*words, "--out", str(folder)])
    assert result.exit_code == 0
    assert result.output.count("finished before") == 2
    assert read_results(folder) == before


def test_another_configuration_is_refused(compared, folder):
    words = ["compare", "digits", *ARGUMENTS[:-1], "3", "--out", str(folder)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "--fresh" in result.output


def test_a_failed_run_is_reported(tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("out of luck")

    monkeypatch.setattr("keras_lbreg.experiments.programs.build_model", fails)
    words = ["compare", "digits", *ARGUMENTS, "--seeds", "1"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path)])
    assert result.exit_code == 1, result.output
    assert "large_batch, seed 0: RuntimeError: out of luck" in result.output
    assert "Unexpected" not in result.output
    assert "out of luck" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("command", ["compare", "train"])
def test_an_interruption_says_how_to_go_on(tmp_path, monkeypatch, command):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "keras_lbreg.experiments.programs.build_model", interrupted
    )
    out = "--out" if command == "compare" else "--run-dir"
    result = CliRunner().invoke(app, [command, "digits", out, str(tmp_path)])
    assert result.exit_code == 130
    assert "same command" in " ".join(result.output.split())
    assert "Unexpected" not in result.output


@pytest.mark.parametrize("arm", ["lr", "all"])
def test_train_saves_a_plain_model(tmp_path, arm):
    file = tmp_path / "model.keras"
    words = ["--epochs", "2", "--out", file, "--run-dir", tmp_path / "run"]
    words += ["--arm", arm, "--strategy", "one"]
    result = CliRunner().invoke(app, ["train", "digits", *map(str, words)])
    assert result.exit_code == 0, result.output
    assert "learning rate 0.02 -> 0.1131 (sqrt rule, x5.657)" in result.output
    model = keras.saving.load_model(file)
    modules = {type(layer).__module__ for layer in (model, *model.layers)}
    assert all(module.startswith("keras.src.") for module in modules)
    # The saved model is the measured one.
    from keras_lbreg.data import load_dataset

    data = load_dataset("digits")
    predictions = model.predict(data.x_val, verbose=0).argmax(axis=1)
    accuracy = f"{100 * (predictions == data.y_val).mean():.1f} %"
    assert f"val accuracy {accuracy}" in result.output


def test_train_on_a_file_of_one_s_own(tmp_path, monkeypatch):
    """A name in the register's list does not make it that dataset."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    file = tmp_path / "data" / "digits.npz"
    file.parent.mkdir()
    arrays = {
        "x_train": rng.normal(size=(96, 4)).astype("float32"),
        "y_train": np.arange(96) % 3,
        "x_val": rng.normal(size=(12, 4)).astype("float32"),
        "y_val": np.arange(12) % 3,
    }
    np.savez(file, **arrays)
    words = ["--batch-size", "64", "--epochs", "1", "--set", "dreg.weight=0.2"]
    words += ["--strategy", "one"]
    result = CliRunner().invoke(app, ["train", str(file), *words])
    assert result.exit_code == 0, result.output
    assert "Unused: --set dreg" in result.output
    assert "batch size 32 -> 64" in result.output
    manifest = read_manifest(tmp_path / "runs" / "train-digits")
    assert manifest["dataset"]["name"] == "digits.npz"
    assert (tmp_path / "model.keras").is_file()


def test_data_list_and_export(tmp_path):
    result = CliRunner().invoke(
        app, ["data", "list", "--data-dir", str(tmp_path)]
    )
    assert result.exit_code == 0
    assert "lbreg data prepare mnist" in result.output
    file = tmp_path / "digits.npz"
    result = CliRunner().invoke(app, ["data", "export", "digits", str(file)])
    assert "1,024 training and 773 validation samples" in result.output
    with np.load(file) as arrays:
        assert arrays["x_train"].shape == (1024, 8, 8, 1)
        assert arrays["y_val"].shape == (773,)
    # By whatever name the file goes, its recipe is that of digits.
    from keras_lbreg.data import load_dataset

    moved = file.rename(tmp_path / "mnist.npz")
    assert load_dataset(str(moved)).name == "digits"


def test_settings_are_parsed_to_python_values():
    settings = ["dreg.weight=0.05", "dreg.max_distance=None", "lr.rule=linear"]
    assert parse_settings(settings) == {
        "dreg": {"weight": 0.05, "max_distance": None},
        "lr": {"rule": "linear"},
    }
    assert parse_settings(None) == {}
