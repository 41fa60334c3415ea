"""Tables of the trials."""

import csv
import json

import numpy as np
import pytest

from keras_lbreg.search.pages.ranking import rank
from keras_lbreg.search.pages.search_table import (
    COLUMNS,
    TOP,
    failures,
    settings_text,
    to_csv,
    to_json,
    to_markdown,
    top_rows,
)
from keras_lbreg.search.read_search import read_search
from tests.search.fake_search import write_search


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return read_search(write_search(folder, running=(39,)))


def test_the_best_come_first(results):
    rows = top_rows(results)
    assert len(rows) == TOP
    best = rank(results).trials[:TOP]
    assert [row[0] for row in rows] == [trial.id for trial in best]
    scores = [run.val_accuracy for run in best[0].executions]
    mean, std = 100 * np.mean(scores), 100 * np.std(scores, ddof=1)
    assert rows[0][1:4] == (f"{mean:.1f} ± {std:.1f}", "–", "2")
    assert rows[0][4] == "6.0 s"


def test_what_may_be_noise_is_marked(results):
    marked = [row[2].startswith("~") for row in top_rows(results, 100)]
    within = rank(results).within
    assert within
    assert marked == [
        trial in within for trial in rank(results).trials[: len(marked)]
    ]


def test_settings_are_named_as_options_are(results):
    trial = next(t for t in results.trials if t.values["dreg"])
    text = settings_text(trial)
    assert text.startswith("batch 512; learning rate x")
    assert f"dreg(weight={trial.values['dreg.weight']:.3g}, distance=" in text


def test_failures_are_counted_by_reason(results):
    assert failures(results) == [
        ("the loss became nan in epoch N", ["003", "011"]),
        ("the process was killed by signal 9 (SIGKILL)", ["025"]),
    ]


def test_markdown(results):
    lines = to_markdown(results).splitlines()
    assert lines[0] == f"| {' | '.join(COLUMNS)} |"
    assert sum(line.startswith("| ") for line in lines) == TOP + 2
    assert "Failed (2): the loss became nan in epoch N: 003, 011" in lines


def test_json_holds_everything(results):
    trials = json.loads(to_json(results))
    assert [trial["trial"] for trial in trials] == [
        trial.id for trial in results.trials
    ]
    best = next(t for t in trials if t["trial"] == results.best.id)
    assert best["val_accuracy_mean"] == pytest.approx(results.best.score)
    assert list(best["seeds"].values()) == [
        run.val_accuracy for run in results.best.executions
    ]
    assert best["settings"]["batch_size"] == 512
    failed = trials[3]
    assert failed["status"] == "failed"
    assert failed["reason"] == "the loss became nan in epoch 3"
    assert failed["val_accuracy_mean"] is None
    assert trials[39]["status"] == "running"


def test_csv_holds_the_same(results):
    rows = list(csv.DictReader(to_csv(results).splitlines()))
    assert len(rows) == len(results.trials)
    for row, trial in zip(rows, results.trials, strict=True):
        score = row["val_accuracy_mean"]
        if trial.status == "completed":
            assert float(score) == pytest.approx(trial.score)
        weight = trial.values.get("dreg.weight", "")
        assert row["dreg.weight"] == str(weight)
    columns = list(rows[0])
    assert columns.index("dreg") == columns.index("dreg.weight") - 1


def test_nothing_has_ended(tmp_path):
    write_search(tmp_path, trials=1, failed=(), running=(0,), executions=1)
    results = read_search(tmp_path)
    assert top_rows(results) == []
    assert json.loads(to_json(results))[0]["status"] == "running"
