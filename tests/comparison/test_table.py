"""Texts of the table: shares, losses, and runs that do not count."""

import csv
import io

import pytest
import rich.console

from keras_lbreg.comparison.statistics import Stat
from keras_lbreg.comparison.table import (
    columns,
    format_stat,
    table_rows,
    to_csv,
    to_markdown,
    to_rich,
)
from tests.comparison.fake_results import results_of

FINALS = {
    "small_batch": [0.960, 0.970, 0.980],
    "large_batch": [0.900, 0.911, 0.922],
    "lr": [0.930, 0.941, 0.951],
    "lr_gbn": [0.940, 0.952, 0.961],
}


def cells(results, arm):
    row = table_rows(results)[results.arm_names.index(arm)]
    return dict(zip(columns(results), row, strict=True))


def test_shares_are_per_cent():
    row = cells(results_of(FINALS), "lr_gbn")
    assert row["final accuracy, %"] == "95.1 ± 1.1"
    assert row["gap"] == "1.9 ± 0.1"
    assert row["closed, %"] == "68 ± 1"
    assert row["against control"] == "+1.0 ± 0.1 (LR)"
    assert row["verdict"] == "better"
    assert (row["updates"], row["training"]) == ("2", "0.0 s")
    assert row["all time"] == "5.1 s"
    assert row["time to small"] == "never"


def test_other_objectives_have_significant_digits():
    finals = {k: [1300 - 1000 * v for v in f] for k, f in FINALS.items()}
    results = results_of(finals, objective="val_loss")
    row = cells(results, "lr")
    assert row["final val_loss"] == "359.3 ± 11"
    assert row["against control"] == "+29.7 ± 0.58 (Large batch)"


def test_the_references_are_the_ends_of_the_scale():
    results = results_of(FINALS)
    assert cells(results, "small_batch")["gap"] == "–"
    assert cells(results, "large_batch")["closed, %"] == "–"
    assert cells(results, "large_batch")["verdict"] == "worse"


def test_excluded_runs_are_listed_below():
    statuses = {("lr", 1): "failed", ("lr_gbn", 0): "damaged"}
    results = results_of(FINALS, statuses=statuses)
    text = to_markdown(results)
    assert cells(results, "lr")["seeds"] == "2 of 3"
    assert "- LR, seed 1, failed: the loss is nan\n" in text
    assert "- LR + GBN, seed 0, damaged: the loss is nan\n" in text
    assert "Left out" not in to_markdown(results_of(FINALS))


def test_markdown_of_an_arm_without_a_finished_run():
    statuses = {("lr", seed): "running" for seed in range(3)}
    text = to_markdown(results_of(FINALS, statuses=statuses))
    assert "| LR | 0 of 3 | – |" in text
    assert "nan" not in text
    assert {line.count("|") for line in text.splitlines()} == {13}


def test_csv_has_full_digits():
    rows = list(csv.DictReader(io.StringIO(to_csv(results_of(FINALS)))))
    assert [row["arm"] for row in rows] == list(FINALS)
    assert float(rows[2]["final_mean"]) == pytest.approx(0.940667, abs=1e-6)
    assert rows[2]["control"] == "large_batch"
    assert float(rows[2]["difference_low"]) < 0.0297
    assert rows[0]["p"] == ""


@pytest.mark.parametrize("width", [80, 200])
def test_a_narrow_terminal_cuts_no_word(width):
    results = results_of(FINALS)
    console = rich.console.Console(width=width, file=io.StringIO())
    console.print(to_rich(results, width))
    text = console.file.getvalue()
    assert "…" not in text
    assert "LR + GBN" in text
    assert ("Not shown" in text) == (width == 80)


def test_zero_has_no_sign():
    assert format_stat(Stat(-0.0001, 0.0, 2), 1, 100) == "0.0 ± 0.0"
