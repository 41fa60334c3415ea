"""Cells of recipes' tables from results with known numbers."""

import pytest

from keras_lbreg.experiments import read_results
from recipes.study import cells
from tests.experiments.fake_results import FakeArm, write_results

SMALL = FakeArm("small_batch", "SB", 20, 0.1, 4, (0.90, 0.92, 0.94))
LARGE = FakeArm("large_batch", "LB", 200, 0.1, 4, (0.80, 0.81, 0.83))
LR = FakeArm("lr", "LR", 200, 0.3, 4, (0.90, 0.91, 0.95))


@pytest.fixture
def results(tmp_path):
    write_results(tmp_path, [SMALL, LARGE, LR], seeds=3)
    return read_results(tmp_path)


def test_accuracy(results):
    assert cells.accuracy(results, "small_batch") == "92.00 ± 2.00 (3)"
    assert cells.accuracy(results, "lr_gbn") == ""
    assert cells.accuracy(None, "lr") == ""


def test_differences_are_paired_and_judged(results):
    # 10, 11 and 11 points: t is far beyond chance.
    assert cells.difference(results, "small_batch", "large_batch") == (
        "**+10.67 ± 0.58** (3)"
    )
    assert cells.difference(results, "large_batch", "small_batch") == (
        "**-10.67 ± 0.58** (3)"
    )
    # 0, 1 and -1 points.
    assert cells.difference(results, "small_batch", "lr") == "+0.00 ± 1.00 (3)"
    assert cells.difference(results, "small_batch", "lr_gbn") == ""


def test_length(results):
    epochs = results.manifest["config"]["epochs"]
    assert cells.length(results, epochs) == f"{epochs}"
    assert cells.length(results, 100) == f"{epochs} of 100 (shortened)"
    assert cells.length(None, 100) == ""


def test_table():
    assert cells.table(("a", "b"), [("1", "2")]) == (
        "| a | b |\n| :-- | --: |\n| 1 | 2 |\n"
    )
