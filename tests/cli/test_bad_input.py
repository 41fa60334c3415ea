"""Bad input ends in one panel that says what is wrong and how to mend it."""

import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from keras_lbreg.cli.app import app
from tests.experiments.fake_results import write_results


@pytest.fixture
def lbreg(tmp_path, monkeypatch):
    """Runs `lbreg` in an empty folder and returns what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")

    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    return run


def check_panel(result, *fragments):
    text = " ".join(result.output.replace("│", " ").split())
    assert result.exit_code == 2, text
    assert "╭" in text
    assert "Traceback" not in text
    for fragment in fragments:
        assert fragment in text


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (
            ["digits", "--arms", "lr,nosuch"],
            ["nosuch", "small_batch", "lr_gbn"],
        ),
        (["digits", "--arms", ","], ["arms", "small_batch"]),
        (["digits", "--batch-size", 0], ["batch_size=0", "above 0"]),
        (["digits", "--batch-size", 9999], ["9999", "1024"]),
        (["digits", "--batch-size", 8], ["more than the small batch size, 16"]),
        (["digits", "--seeds", 0], ["seeds=0", "above 0"]),
        (["digits", "--seeds", "three"], ["--seeds", "integer"]),
        (["digits", "--epochs", 0], ["epochs=0", "above 0"]),
        (
            ["digits", "--set", "ghost_batch_norm.ghost_batch_size=0"],
            ["ghost_batch_size=0", "above 0"],
        ),
        (["digits", "--set", "dreg.wait=1"], ["wait", "weight"]),
        (["digits", "--set", "nosuch.weight=1"], ["nosuch", "dreg"]),
        (["digits", "--set", "weight=1"], ["TECHNIQUE.NAME=VALUE"]),
        (["digits", "--set", "gradient_noise.alpha=-1"], ["alpha=-1", ">= 0"]),
        (
            ["digits", "--set", "gradient_noise.alpha={1,2}"],
            ["gradient_noise.alpha={1, 2}", "a number"],
        ),
        (
            ["digits", "--set", "lr_scaling.warmup_epochs=abc"],
            ["lr_scaling.warmup_epochs='abc'", "a number"],
        ),
        (
            ["digits", "--backend", "torch"],
            ["backend=torch", "tensorflow, jax"],
        ),
        (["digits", "--strategy", "two"], ["strategy='two'", "mirrored"]),
        (["digits", "--devices", 0], ["devices=0", "at least 1"]),
        (["digits", "--virtual-devices", 0], ["--virtual-devices 0"]),
        (
            ["digits", "--strategy", "auto", "--devices", 3],
            ["multiple of 3", "--strategy one"],
        ),
        (["digits", "--nosuch"], ["--nosuch"]),
        (["nosuch.npz"], ["nosuch.npz", "exists"]),
    ],
    ids=lambda value: "-".join(str(v) for v in value),
)
def test_arguments_of_compare(lbreg, words, fragments):
    check_panel(lbreg("compare", *words), *fragments)


@pytest.mark.parametrize("name", ["mnist", "no_such_dataset"])
def test_dataset_that_is_not_prepared(lbreg, tmp_path, name):
    result = lbreg("compare", name, "--data-dir", tmp_path)
    check_panel(result, name, str(tmp_path), f"lbreg data prepare {name}")


def test_another_backend_than_the_running_one(lbreg):
    import keras

    other = {"tensorflow": "jax", "jax": "tensorflow"}[keras.backend.backend()]
    result = lbreg("compare", "digits", "--backend", other)
    check_panel(result, f"backend={other}", "KERAS_BACKEND")


def test_npz_without_the_needed_arrays(lbreg, tmp_path):
    np.savez(tmp_path / "part.npz", x_train=np.zeros((8, 4)))
    check_panel(lbreg("compare", "part.npz"), "y_train", "missing")


def test_npz_of_one_class(lbreg, tmp_path):
    x, y = np.zeros((64, 4), "float32"), np.zeros(64, "int32")
    file = tmp_path / "one.npz"
    np.savez(file, x_train=x, y_train=y, x_val=x, y_val=y, classes=2)
    check_panel(lbreg("compare", "one.npz"), "two classes")


def test_file_that_is_no_npz(lbreg, tmp_path):
    (tmp_path / "text.npz").write_text("not an archive")
    check_panel(lbreg("compare", "text.npz"), "text.npz", "Cannot read")


def test_unwritable_folder(lbreg, tmp_path):
    (tmp_path / "file").write_text("")
    result = lbreg("compare", "digits", "--out", tmp_path / "file" / "runs")
    check_panel(result, "Not a directory", str(tmp_path / "file"))


@pytest.fixture(scope="module")
def real_results(tmp_path_factory):
    """What one run of one epoch left behind."""
    folder = tmp_path_factory.mktemp("real") / "results"
    result = CliRunner().invoke(app, [*compare_once(folder)])
    assert result.exit_code == 0, result.output
    return folder


def compare_once(folder):
    words = "compare digits --arms large_batch --seeds 1 --epochs 1 --out"
    return [*words.split(), str(folder)]


@pytest.mark.parametrize("command", ["compare", "report"])
def test_corrupt_results(lbreg, tmp_path, command, real_results):
    folder = tmp_path / "results"
    shutil.copytree(real_results, folder)
    words = ["report", folder] if command == "report" else compare_once(folder)
    assert lbreg(*words).exit_code == 0
    journal = folder / "runs" / "large_batch" / "seed-0" / "epochs.jsonl"
    journal.write_text("{]\n" + journal.read_text())
    before = journal.read_bytes()
    check_panel(lbreg(*words), "epochs.jsonl", "line 1", "damaged")
    assert journal.read_bytes() == before


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("manifest.json", '{"schema": 1}'),
        ("runs/large_batch/seed-0/summary.json", "[]"),
        ("runs/large_batch/seed-0/epochs.jsonl", "{}\n"),
    ],
)
@pytest.mark.parametrize("command", ["compare", "report"])
def test_results_of_another_shape(
    lbreg, tmp_path, command, real_results, file, content
):
    folder = tmp_path / "results"
    shutil.copytree(real_results, folder)
    (folder / file).write_text(content)
    words = ["report", folder] if command == "report" else compare_once(folder)
    check_panel(lbreg(*words), str(folder / file), "Nothing was changed")
    assert (folder / file).read_text() == content


@pytest.mark.parametrize("name", ["model", "missing/model.h5"])
def test_train_to_a_file_that_is_no_model(lbreg, tmp_path, name):
    result = lbreg("train", "digits", "--out", name)
    check_panel(result, ".keras", name)
    assert not (tmp_path / "runs").exists()


def test_results_of_unknown_origin(lbreg, tmp_path):
    (tmp_path / "out" / "runs" / "lr" / "seed-0").mkdir(parents=True)
    for words in (["compare", "--out"], ["train", "--run-dir"]):
        for fresh in ([], ["--fresh"]):
            result = lbreg(*words, tmp_path / "out", *fresh)
            check_panel(result, "no manifest.json", "--run-dir")
    assert (tmp_path / "out" / "runs" / "lr" / "seed-0").is_dir()


def test_report_on_a_folder_without_results(lbreg, tmp_path):
    check_panel(lbreg("report", tmp_path), "lbreg compare", str(tmp_path))
    check_panel(lbreg("report", tmp_path / "nosuch"), "manifest.json")


def test_report_on_a_corrupt_manifest(lbreg, tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    check_panel(lbreg("report", tmp_path), "manifest.json", "JSON")


def test_train_with_an_unknown_arm(lbreg):
    check_panel(lbreg("train", "digits", "--arm", "nosuch"), "small_batch")


def test_export_to_a_name_that_is_no_npz(lbreg):
    check_panel(lbreg("data", "export", "digits", "digits.csv"), ".npz")


def test_debug_shows_the_exception(lbreg):
    result = lbreg("compare", "digits", "--seeds", 0, "--debug")
    assert isinstance(result.exception, ValueError)
    assert "seeds=0" in str(result.exception)


def test_a_defect_is_not_taken_for_bad_input(lbreg, tmp_path, monkeypatch):
    def broken(results, console):
        raise ZeroDivisionError("one by zero")

    monkeypatch.setattr("keras_lbreg.cli.show_results.show_results", broken)
    result = lbreg("report", write_results(tmp_path / "results"))
    assert result.exit_code == 1
    assert "Unexpected ZeroDivisionError" in result.output
    assert "--debug" in result.output
