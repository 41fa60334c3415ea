"""The commands that train, on the file that `lbreg new` writes."""

import keras
import pytest

from keras_lbreg.comparison import read_results
from keras_lbreg.training import Run
from tests.cli.conftest import run

ARMS = "small_batch,large_batch,lr_gbn"
WORDS = ["--arms", ARMS, "--seeds", 1, "--epochs", 1]


@pytest.fixture(scope="module")
def compared(train_py, tmp_path_factory):
    """A comparison, what it has printed and its folder."""
    folder = tmp_path_factory.mktemp("compared") / "runs"
    return run("compare", train_py, *WORDS, "--out", folder), folder


def test_compare_prints_and_writes_everything(compared):
    result, folder = compared
    assert result.exit_code == 0, result.text
    for fragment in (
        "batch size 16 -> 256 (x16)",
        "ghost_batch_size=16",
        "[3/3] LR + GBN, seed 0: val_accuracy",
        "of training",
        "in all",
        "One seed only",
        f"Report: {folder / 'report.html'}",
    ):
        assert fragment in result.text
    for name in ("report.html", "table.md", "table.csv", "manifest.json"):
        assert (folder / name).is_file()
    small, *others = read_results(folder).runs
    assert [run.updates for run in (small, *others)] == [80, 5, 5]
    assert f"{100 * small.final:.1f}" in result.text


def test_report_makes_the_page_anew_and_names_a_damaged_run(compared, lbreg):
    _, folder = compared
    (folder / "report.html").unlink()
    journal = folder / "runs" / "lr_gbn" / "seed-0" / "epochs.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-9])
    try:
        result = lbreg("report", folder)
    finally:
        journal.write_bytes(whole)
    assert result.exit_code == 0
    assert (folder / "report.html").is_file()
    assert "LR + GBN, seed 0, damaged" in result.text
    assert str(journal) in result.text


def test_a_failed_run_is_reported(train_py, lbreg, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(Run, "fit", fail)
    words = ["--arms", "large_batch", "--seeds", 1]
    result = lbreg("compare", train_py, *words)
    assert result.exit_code == 1, result.text
    assert "seed 0, failed: RuntimeError: out of luck" in result.text
    assert "Unexpected" not in result.text


def test_train_saves_a_plain_model(train_py, lbreg, tmp_path):
    words = ["--arm", "lr_gbn", "--epochs", 1, "--set", "dreg.weight=1"]
    words += ["--strategy", "one", "--out", "model.keras"]
    result = lbreg("train", train_py, *words)
    assert result.exit_code == 0, result.text
    assert "Unused: --set dreg.*" in result.text
    assert "Saved model.keras" in result.text
    model = keras.saving.load_model(tmp_path / "model.keras")
    [norm] = [x for x in model.layers if "normalization" in x.name]
    assert type(norm) is keras.layers.BatchNormalization
    assert (tmp_path / "runs" / "train-train" / "manifest.json").is_file()


def test_new_writes_over_nothing(train_py, lbreg):
    before = train_py.read_bytes()
    result = lbreg("new", train_py)
    assert result.exit_code == 2
    assert f"{train_py} exists" in result.text
    assert train_py.read_bytes() == before
