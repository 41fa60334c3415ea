"""The help pages, and a process that shows them without Keras."""

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
    ("train",): [".keras", "load_model", "--arm"],
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
    for command in ("compare", "train", "data", "report"):
        assert command in result.output


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.strip() == f"lbreg {__version__}"


def run_without_keras(*words):
    """Run `python -m keras_lbreg` where importing Keras is an error."""
    code = (
        "import runpy, sys; sys.modules['keras'] = None;"
        "sys.argv = ['lbreg', *sys.argv[1:]];"
        "sys.orig_argv = ['python', '-m', 'keras_lbreg'];"
        "runpy.run_module('keras_lbreg', run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True
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
    assert "Examples" in run_without_keras("compare", "--help").stdout
    folder = write_results(tmp_path / "results")
    result = run_without_keras("report", str(folder))
    assert result.returncode == 0, result.stderr
    assert "LR + GBN + RA" in result.stdout
    assert (folder / "report.html").is_file()
