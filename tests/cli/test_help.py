"""The help pages."""

import pytest
from typer.testing import CliRunner

from keras_lbreg import __version__
from keras_lbreg.cli.app import app

PAGES = {
    (): ["compare", "train", "tune", "new", "arms", "report", "launch"],
    ("compare",): [
        "An arm is",
        "The gap is",
        "Closed is",
        "RA, regime adaptation",
        "workload = keras_lbreg.Workload(",
        "lbreg new train.py",
        "report.html",
    ],
    ("train",): [
        "load_model",
        "--strategy mirrored --virtual-devices 4",
        "lbreg launch --workers 2 -- train digits",
    ],
    ("launch",): ["TF_CONFIG", "--workers 2 -- train digits"],
    ("analyze",): ["sharpness", "2/λ", "noise", "--what interpolation"],
    ("data",): ["list", "prepare", "export"],
    ("data", "list"): ["--data-dir"],
    ("data", "prepare"): ["lbreg data prepare mnist"],
    ("data", "export"): ["x_train", "--backend jax"],
    ("new",): ["lbreg compare train.py"],
    ("arms",): ["--set"],
    ("report",): ["report.html", "lbreg report runs/digits"],
    ("tune",): ["lbreg tune"],
}


@pytest.mark.parametrize("command", PAGES, ids=" ".join)
def test_every_page_is_whole_on_a_small_terminal(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "…" not in result.output
    for fragment in PAGES[command]:
        assert fragment in result.output


def test_arms_lists_arms_techniques_and_settings(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(app, ["arms"])
    for fragment in (
        "--arms small_batch,large_batch,lr",
        "DReg: Distinctive regularization",
        "When: batch normalization lags behind;",
        "ghost_batch_norm.ghost_batch_size=128\n",
        "lr_gbn_mean ",
        "lr_warmup_dreg ",
    ):
        assert fragment in result.output


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.output.strip() == f"lbreg {__version__}"
