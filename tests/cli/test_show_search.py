"""The end of a search at the command line."""

import dataclasses
import io

import pytest
import rich.console

from keras_lbreg.cli.show_search import (
    print_comparison,
    print_trials,
    show_search,
)
from keras_lbreg.experiments.results import read_results
from keras_lbreg.search import read_search
from tests.experiments.fake_results import LARGE, SMALL, write_results
from tests.search.fake_search import write_search


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return read_search(write_search(folder, trials=15, failed=(3, 5)))


def printed(show, results, width=160):
    file = io.StringIO()
    show(results, rich.console.Console(file=file, width=width))
    return file.getvalue().splitlines()


def ids(results):
    return [[trial.id] for trial in results.trials]


def test_the_best_ten_are_listed_in_their_order(results):
    lines = printed(print_trials, results)
    ranked = sorted(results.of_status("completed"), key=lambda t: -t.score)
    rows = [line.split() for line in lines if line.split()[:1] in ids(results)]
    assert [row[0] for row in rows] == [trial.id for trial in ranked[:10]]
    best = ranked[0]
    assert rows[0][1:4] == [
        f"{100 * best.score:.1f}",
        "±",
        f"{100 * best.std:.1f}",
    ]
    factor = best.configuration.learning_rate_factor
    assert f"x{factor:.2g}" in rows[0]


def test_noise_settings_and_failures_are_told(results):
    text = "\n".join(printed(print_trials, results))
    assert f"Trial {results.best.id} is the best of 13: " in text
    assert "within noise" in text
    assert f"\nTrial {results.best.id}: batch 512; learning rate x" in text
    assert "Failed (2): the loss became nan in epoch " in text
    assert text.endswith(": 003, 005")


def test_a_search_of_failures(results):
    failed = dataclasses.replace(
        results, trials=tuple(results.of_status("failed"))
    )
    lines = printed(print_trials, failed)
    assert lines[0] == "No trial has completed."
    assert all(line.startswith("Failed (") for line in lines[1:])


@pytest.fixture
def comparison(tmp_path):
    tuned = dataclasses.replace(
        LARGE, name="tuned", title="Tuned", final=(0.95, 0.96, 0.97)
    )
    folder = write_results(tmp_path / "confirm", (SMALL, LARGE, tuned))
    return read_results(folder)


def test_the_comparison_says_whether_tuning_helped(comparison):
    lines = printed(print_comparison, comparison)
    [row] = [line for line in lines if line.strip().startswith("Tuned")]
    assert "96.0 ± 1.0" in row
    assert lines[-1].startswith("Tuning helped.")


def test_failed_runs_of_the_comparison_are_told(comparison):
    runs = list(comparison.runs)
    runs[0] = dataclasses.replace(runs[0], status="failed", reason="no luck")
    lines = printed(
        print_comparison, dataclasses.replace(comparison, runs=tuple(runs))
    )
    assert lines[-1] == f"failed: {runs[0].arm}, seed 0: no luck"


def test_what_there_is_of_a_search_is_written_and_shown(tmp_path):
    results = read_search(write_search(tmp_path / "tune", trials=4, failed=()))
    file = io.StringIO()
    assert show_search(results, rich.console.Console(file=file, width=160))
    lines = file.getvalue().splitlines()
    assert lines[-2] == f"Report: {tmp_path}/tune/report.html"
    assert lines[-1].endswith(
        f"lbreg train --config {tmp_path}/tune/best.json --out model.keras"
    )
    for name in ("report.html", "best.json", "trials.csv"):
        assert (tmp_path / "tune" / name).is_file()


def test_a_search_without_a_best_trial_has_nothing_to_train_with(tmp_path):
    folder = write_search(tmp_path / "tune", trials=2, failed=(0, 1))
    file = io.StringIO()
    console = rich.console.Console(file=file, width=160)
    assert not show_search(read_search(folder), console)
    assert "lbreg train" not in file.getvalue()
    assert (folder / "report.html").is_file()
    assert not (folder / "best.json").exists()
