"""`lbreg tune`: its options, one real search, and how it goes on."""

import importlib
import os
import shlex
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from keras_lbreg.cli.app import app
from keras_lbreg.cli.compare import split_names
from keras_lbreg.cli.tune_options import (
    parse_batch_sizes,
    parse_budget,
    parse_factor,
    parse_ranges,
)
from keras_lbreg.experiments.results import read_results
from keras_lbreg.search import Search, read_search
from keras_lbreg.search.pages.tune_command import tune_command
from keras_lbreg.techniques import SearchRange
from tests.cli.test_bad_input import check_panel
from tests.cli.test_help import run_without

OPTIONS = {
    "--batch-size": "1024,4096",
    "--techniques": "gradient_noise",
    "--range": "dreg.weight=0.01..1:log",
    "--tuner": "hyperband",
    "--budget": "1h30m",
    "--out": "runs/tune-NAME",
}


def invoke(*words):
    return CliRunner().invoke(app, ["tune", *map(str, words)])


def test_help_explains_options_and_results(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    result = invoke("--help")
    assert result.exit_code == 0
    for option, example in OPTIONS.items():
        assert option in result.output
        assert example in result.output
    for file in ("best.json", "report.html", "ledger.jsonl", "confirm/"):
        assert file in result.output
    assert "Give the same command again" in result.output


def test_help_needs_neither_keras_nor_kerastuner():
    for package in ("keras", "keras_tuner"):
        result = run_without(package, "tune", "--help")
        assert result.returncode == 0, result.stderr
        assert "Examples" in result.stdout


def test_a_missing_kerastuner_says_what_to_install():
    result = run_without("keras_tuner", "tune")
    assert result.returncode == 2
    text = " ".join(result.stderr.replace("│", " ").split())
    assert 'pip install "keras-lbreg[tune]"' in text


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["--batch-size", "big"], ["--batch-size", "1024,4096", "big"]),
        (["--batch-size", "0"], ["batch_sizes=0", "above 0"]),
        (["--batch-size", "64,64"], ["batch_sizes", "different"]),
        (["--techniques", "lr,dreg"], ["'lr'", "lr_scaling"]),
        (["--always", "nosuch"], ["nosuch", "lr_scaling"]),
        (["--techniques", "dreg", "--always", "dreg"], ["always", "dreg"]),
        (["--range", "dreg.weight=1..0"], ["--range", "dreg.weight=1..0"]),
        (["--range", "dreg.wait=0..1"], ["wait", "weight"]),
        (["--range", "nosuch.weight=0..1"], ["nosuch", "dreg"]),
        (
            ["--techniques", "lr_scaling", "--range", "dreg.weight=0.1..1"],
            ["ranges", "'dreg'"],
        ),
        (["--set", "weight=1"], ["--set", "TECHNIQUE.NAME=VALUE"]),
        (["--set", "dreg.weight={1}"], ["dreg.weight", "one kind"]),
        (["--learning-rate-factor", "2"], ["--learning-rate-factor", "none"]),
        (["--tuner", "best"], ["tuner='best'", "hyperband"]),
        (["--trials", "0"], ["trials=0", "above 0"]),
        (["--trials", "many"], ["--trials", "integer"]),
        (["--executions", "0"], ["executions=0", "above 0"]),
        (["--budget", "30"], ["--budget", "1h30m", "30"]),
        (["--workers", "0"], ["workers=0", "above 0"]),
        (["--seed", "-1"], ["seed=-1", "at least 0"]),
        (["--holdout", "1.5"], ["holdout=1.5"]),
        (["--confirm-seeds", "-1"], ["confirm_seeds=-1", "at least 0"]),
        (["--small-batch-size", "0"], ["small_batch_size=0", "above 0"]),
        (["--epochs", "0"], ["epochs=0", "above 0"]),
        (["--backend", "torch"], ["backend=torch", "tensorflow, jax"]),
        (["--strategy", "two"], ["strategy='two'", "mirrored"]),
        (["--strategy", "multi-worker"], ["strategy='multi-worker'"]),
        (["--devices", "0"], ["devices=0", "at least 1"]),
        (["--virtual-devices", "0"], ["virtual_devices=0", "above 0"]),
        (["--nosuch"], ["--nosuch"]),
    ],
    ids=lambda value: "-".join(value),
)
def test_mistakes_are_told_before_anything_is_written(
    tmp_path, monkeypatch, words, fragments
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")
    check_panel(invoke("digits", *words), *fragments)
    assert list(tmp_path.iterdir()) == []


# One update an epoch in two epochs: what comes out is no good, and quick.
WORDS = [
    *("digits", "--techniques", "ghost_batch_norm", "--epochs", "2"),
    *("--set", "ghost_batch_norm.ghost_batch_size=32", "--trials", "2"),
    *("--workers", "2", "--confirm-seeds", "1"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tune") / "runs"


@pytest.fixture(scope="module")
def searched(folder):
    """What a whole search printed, in a process of its own."""
    program = [sys.executable, "-m", "keras_lbreg", "tune", *WORDS]
    return subprocess.run(
        [*program, "--out", str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "COLUMNS": "160"},
    )


def test_a_search_prints_its_plan_trials_and_results(searched, folder):
    assert searched.returncode == 0, searched.stderr
    text = searched.stdout
    assert "ghost_batch_norm.ghost_batch_size 32" in " ".join(text.split())
    assert "2 trials at random (seed 0), each 1 run of 2 epochs" in text
    assert "818 samples and are judged by 206 held out" in text
    assert "as many updates as with all of it" in text
    for trial in read_search(folder).trials:
        assert trial.status == "completed"
        assert f"Trial {trial.id}: x" in text
        accuracy = f"val. accuracy {100 * trial.score:.1f} %"
        assert f"Trial {trial.id}: {accuracy}" in text
    assert "The search has ended: all trials are done." in text
    assert "Tuned, seed 1000: val. accuracy" in text
    assert "cannot be told from one seed" in text
    assert f"lbreg train --config {folder}/best.json" in text
    # No other words of ours or of a library, and no colours in a pipe.
    assert searched.stderr == ""
    assert "\x1b" not in text


def test_a_search_writes_everything(searched, folder):
    names = ("best.json", "report.html", "trials.csv", "table.md", "plots")
    for name in names:
        assert (folder / name).exists()
    comparison = read_results(folder / "confirm")
    assert {(run.arm, run.seed) for run in comparison.runs} == {
        (arm, 1000) for arm in ("small_batch", "large_batch", "lr", "tuned")
    }


def test_the_same_command_repeats_nothing(searched, folder, monkeypatch):
    """It goes on with the comparison; should that fail, the rest is shown."""

    def fails(*args, **kwargs):
        raise RuntimeError("out of luck")

    module = importlib.import_module("keras_lbreg.search.confirmation.confirm")
    monkeypatch.setattr(module, "confirm", fails)
    ledger = (folder / "ledger.jsonl").read_text()
    result = invoke(*WORDS, "--out", folder)
    assert "Going on: 2 trials done in" in result.output
    assert "Trial 000: x" not in result.output
    added = (folder / "ledger.jsonl").read_text().removeprefix(ledger)
    assert "trial_" not in added
    assert "execution_ended" not in added
    assert "is the best of 2" in result.output
    assert "out of luck" in result.output
    assert "Unexpected" not in result.output
    assert result.exit_code == 1


def test_report_shows_the_search_again(searched, folder):
    (folder / "report.html").unlink()
    result = CliRunner().invoke(app, ["report", str(folder)])
    assert result.exit_code == 0, result.output
    assert "is the best of 2" in result.output
    assert (folder / "report.html").is_file()


def test_mistakes_that_the_model_and_the_data_tell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")
    result = invoke("digits", "--range", "dreg.layer=dense_2,nosuch")
    check_panel(result, "nosuch", "dense_1")
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_says_how_to_go_on(tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    # The package has a function of the module's name.
    module = importlib.import_module("keras_lbreg.search.run_search")
    monkeypatch.setattr(module, "check_in_child", interrupted)
    result = invoke("digits", "--out", tmp_path / "tune", "--fresh")
    assert result.exit_code == 130
    text = " ".join(result.output.split())
    assert "the same command again without --fresh" in text
    assert f"lbreg report {tmp_path}/tune" in text
    assert "Unexpected" not in text


def test_the_command_of_a_report_is_the_search():
    """Options mean here what `tune_command` takes them for."""
    search = Search(
        "digits",
        batch_sizes=(256, 512),
        techniques=("dreg", "ghost_batch_norm"),
        always=("lr_scaling",),
        tuner="bayesian",
        budget=5400.5,
        learning_rate_factor=(0.5, 2.0),
        ranges={
            "dreg": {
                "weight": SearchRange(1e-5, 1.0, log=True),
                "layer": ("dense_1", "dense_2"),
                "distance": ("bounded",),
            },
            "lr_scaling": {"warmup_epochs": SearchRange(0, 3)},
        },
    )
    words = shlex.split(tune_command(search.to_json()))
    assert words[:2] == ["lbreg", "tune"]
    context = (
        typer.main.get_command(app)
        .commands["tune"]
        .make_context("tune", words[2:])
    )
    given = context.params
    assert parse_batch_sizes(given["batch_size"]) == search.batch_sizes
    assert split_names(given["techniques"]) == ("ghost_batch_norm", "dreg")
    assert parse_budget(given["budget"]) == search.budget
    factor = parse_factor(given["learning_rate_factor"])
    assert factor == search.learning_rate_factor
    ranges = parse_ranges(given["ranges"], given["settings"])
    assert ranges == search.ranges
    assert (given["name"], given["tuner"]) == ("digits", "bayesian")
