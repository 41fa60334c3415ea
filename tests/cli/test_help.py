"""The help pages, and a process that shows them without Keras."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from keras_lbreg import __version__
from keras_lbreg.cli.app import app
from tests.experiments.fake_results import write_results

PAGES = {
    ("compare",): [
        "report.html",
        "lbreg compare digits --seeds 1",
        "lr_gbn_ra",
    ],
    ("train",): [
        ".keras",
        "load_model",
        "--arm",
        "--strategy mirrored --virtual-devices 4",
        "lbreg launch --workers 2 -- train digits",
    ],
    ("launch",): ["TF_CONFIG", "--workers 2 -- train digits", "--restarts"],
    ("analyze",): ["sharpness", "hessian", "noise-scale", "interpolate"],
    ("analyze", "sharpness"): [
        "lbreg analyze sharpness small.keras large.keras --data mnist",
        "sharpness.png",
    ],
    ("analyze", "hessian"): ["2/λ", "hessian.json"],
    ("analyze", "noise-scale"): ["--pairs 50", "noise-scale.json"],
    ("analyze", "interpolate"): ["FIRST.keras", "--statistics"],
    ("data",): ["list", "prepare", "export"],
    ("data", "list"): ["--data-dir"],
    ("data", "prepare"): ["lbreg data prepare mnist"],
    ("data", "export"): ["x_train", "--backend jax"],
    ("report",): ["report.html", "lbreg report runs/digits"],
}


@pytest.mark.parametrize("command", PAGES, ids=" ".join)
def test_every_page_has_an_example_and_says_what_comes_out(command):
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    for fragment in PAGES[command]:
        assert fragment in result.output


def test_no_arguments_show_the_commands():
    result = CliRunner().invoke(app, [])
    for command in (
        "compare",
        "train",
        "launch",
        "analyze",
        "data",
        "report",
    ):
        assert command in result.output


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.strip() == f"lbreg {__version__}"


WITHOUT = """
import importlib.machinery, runpy, sys
package = sys.argv.pop(1)
find = importlib.machinery.PathFinder.find_spec
def find_others(name, *arguments):
    if name.partition(".")[0] != package:
        return find(name, *arguments)
importlib.machinery.PathFinder.find_spec = find_others
sys.orig_argv = ["python", "-m", "keras_lbreg"]
runpy.run_module("keras_lbreg", run_name="__main__")
"""


def run_without(package, *words):
    """Run `python -m keras_lbreg` as if a package was not installed."""
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, package, *words],
        capture_output=True,
        text=True,
        env=environment,
    )


def test_help_of_the_module():
    result = subprocess.run(
        [sys.executable, "-m", "keras_lbreg.cli", "--help"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    assert "lbreg compare digits" in result.stdout
    assert result.stderr == ""


def test_help_and_report_need_no_keras(tmp_path):
    assert "Examples" in run_without("keras", "compare", "--help").stdout
    folder = write_results(tmp_path / "results")
    result = run_without("keras", "report", str(folder))
    assert result.returncode == 0, result.stderr
    assert "LR + GBN + RA" in result.stdout
    assert (folder / "report.html").is_file()


def test_jax_is_taken_where_tensorflow_is_not_installed(tmp_path):
    words = ("--seeds", "1", "--epochs", "1", "--arms", "large_batch")
    result = run_without(
        "tensorflow", "compare", *words, "--out", str(tmp_path / "runs")
    )
    assert result.returncode == 0, result.stderr
    assert "jax on" in result.stdout
    assert result.stderr == ""


def test_a_missing_backend_says_what_to_install():
    result = run_without("keras", "train")
    assert result.returncode == 2
    text = " ".join(result.stderr.replace("│", " ").split())
    assert 'pip install "keras-lbreg[jax]"' in text
    assert 'in a clone `pip install ".[jax]"`' in text
