"""Comparisons are run, resumed and recorded; records are read and judged."""

import dataclasses
import functools
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from keras_lbreg import Arm
from keras_lbreg.workloads.networks import fully_connected
from recipes import paper
from recipes.__main__ import make_app
from recipes.tables import accuracy, difference, verdict
from recipes.yuan_2020.page import epochs_needed, mean_gaps
from tests.recipes import results_of

RECIPE = paper.Recipe(
    functools.partial(fully_connected, widths=(16,)),
    learning_rate=0.05,
    epochs=2,
    small_batch_size=64,
    batch_size=512,
)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "WORK", tmp_path / "runs")
    arms = ("large_batch", Arm("Ours", ("lr_scaling",)))
    comparisons = (
        paper.Comparison("one", "one", "digits", RECIPE, arms, seeds=1),
        paper.Comparison("other", "other", "mnist", RECIPE, ("lr",)),
    )
    answer = paper.Measurement("answer", "The answer", measure)
    folder = tmp_path / "tiny"
    return paper.Paper("tiny", "A tiny paper", folder, comparisons, (answer,))


def measure(progress, seeds=None, data_dir=None):
    return {"answer": sum(progress([40, 2])), "seeds": seeds}


@pytest.fixture
def command(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("LBREG_DATA_DIR", str(tmp_path / "no-data"))
    return lambda *words: CliRunner().invoke(make_app(tiny), list(words))


def test_runs_are_recorded_as_they_end_and_never_twice(
    tiny, command, monkeypatch
):
    result = command("run", "one", "--arms", "ours")
    assert result.exit_code == 0, result.output
    [first] = tiny.results("one").runs
    assert (first.arm, first.status) == ("ours", "finished")
    assert [epoch.epoch for epoch in first.epochs] == [1, 2]
    logs = first.epochs[0].logs
    assert {"loss", "val_accuracy", "moving_val_accuracy"} <= set(logs)
    monkeypatch.setattr(paper, "WORK", tiny.folder / "of-another-clone")
    result = command("run", "one", "--seeds", "2")
    assert result.exit_code == 0, result.output
    results = tiny.results("one")
    arms = ("ours", "large_batch")
    expected = [(arm, seed) for arm in arms for seed in (0, 1)]
    assert [(r.arm, r.seed) for r in results.runs] == expected
    assert results.runs[0] == first
    assert "4 of 4 runs, 2 epochs" in command("list").output
    # A record of another experiment is left alone.
    content = results.path.read_text()
    other = dataclasses.replace(RECIPE, small_batch_size=32)
    changed = dataclasses.replace(tiny.comparisons[0], recipe=other)
    tiny = dataclasses.replace(tiny, comparisons=(changed,))
    monkeypatch.setattr(paper, "WORK", tiny.folder / "of-a-third")
    with pytest.raises(ValueError, match="differs in small_batch_size, ours"):
        tiny.run("one", ["ours"], first_seed=2, progress=False)
    assert results.path.read_text() == content


def test_shortened_runs_trials_and_old_records_have_files_of_their_own(
    tiny, command
):
    command("run", "one", "--samples", "64", "--arms", "ours", "--epochs", "1")
    assert tiny.records("one") == []
    command("run", "one", "--epochs", "1", "--arms", "ours")
    new = tiny.results("one")
    assert new.path.name == "one-1-epochs.jsonl"
    old = paper.judged_by(new, "moving_val_accuracy")
    paper.write_record(tiny.record_path("one-1-epochs-moving"), old)
    # With one arm of two, the old ones are still those of the tables.
    assert tiny.results("one").objective == "moving_val_accuracy"
    command("run", "one", "--epochs", "1")
    assert tiny.results("one").path.name == "one-1-epochs.jsonl"
    assert len(tiny.records("one")) == 2


def test_a_record_holds_what_was_written(tmp_path):
    found = results_of({"lr": [[0.5, math.nan], [0.25, 1 / 3]]})
    paper.write_record(tmp_path / "x.jsonl", found)
    read = paper.read_record(tmp_path / "x.jsonl")
    assert [run.best for run in read.runs] == pytest.approx([0.5, 1 / 3])
    assert math.isnan(read.runs[0].final)
    assert read.runs[1].epochs[1].samples == 2 * 8
    text = (tmp_path / "x.jsonl").read_text()
    (tmp_path / "x.jsonl").write_text(text[:-20])
    with pytest.raises(ValueError, match="no record of a comparison"):
        paper.read_record(tmp_path / "x.jsonl")


def test_measures(tiny, command):
    result = command("run", "answer", "--seeds", "3")
    assert result.exit_code == 0, result.output
    content = tiny.measured("answer")
    assert content["measured"] == {"answer": 42, "seeds": 3}
    assert content["versions"]["keras"]


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["nothing"], "Expected one of ['one', 'other'"),
        (["one", "--arms", "gbn"], "gbn"),
        (["other"], "lbreg data prepare mnist"),
        (["one", "--dataset", "no.npz"], "no.npz"),
        (["answer", "--samples", "64"], "is a measurement"),
    ],
)
def test_bad_input_is_said_before_anything_is_trained(
    tiny, command, words, fragment
):
    result = command("run", *words)
    assert isinstance(result.exception, (ValueError, OSError))
    assert fragment in str(result.exception)
    assert not (tiny.folder / "results").exists()


def test_pooled_images_are_means_of_squares():
    images = np.arange(16, dtype="uint8").reshape(1, 4, 4, 1)
    found = paper.pooled(images, 2)
    assert found.dtype == "uint8"
    # 2.5 and so on, rounded to even.
    np.testing.assert_array_equal(found[0, :, :, 0], [[2, 4], [10, 12]])


def test_a_shorter_training_has_the_whole_ones_rates(tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "WORK", tmp_path)
    recipe = dataclasses.replace(RECIPE, epochs=4)
    comparison = paper.Comparison("one", "one", "digits", recipe, ("lr",))
    model, updates = comparison.trained("lr", 0, epochs=1)
    assert updates == 2
    assert model.output_shape == (None, 10)


def test_cells_are_paired_by_seed_and_judged():
    found = results_of(
        {
            "small_batch": [[0.90], [0.92], [0.94]],
            "large_batch": [[0.80], [0.81], [0.83]],
            "lr": [[0.90], [0.91], [0.95]],
        }
    )
    assert accuracy(found, "small_batch") == "92.00 ± 2.00 (3)"
    assert accuracy(found, "lr_gbn") == accuracy(None, "lr") == ""
    # 10, 11 and 11 points: t is far beyond chance.
    better = difference(found, "small_batch", "large_batch")
    assert better == "**+10.67 ± 0.58** (3)"
    # 0, 1 and -1 points.
    assert difference(found, "small_batch", "lr") == "+0.00 ± 1.00 (3)"
    assert verdict([-0.04, -0.05, -0.06]) == "worse"
    assert verdict([0.1]) == verdict([]) == ""


def test_yuans_statistics_by_pairs_of_seeds():
    found = results_of(
        {
            "large_batch": [[0.1, 0.5, 0.4], [0.2, 0.3, 0.6]],
            "dreg": [[0.5, 0.4, 0.4], [0.3, 0.4, 0.5]],
        }
    )
    assert mean_gaps(found, "dreg") == pytest.approx([0.1, 0.1 / 3])
    # Seed 0 has the baseline's best, .5, in epoch 1; seed 1 never has its .6.
    assert epochs_needed(found, "dreg") == "1.0 (1 of 2)"
    assert epochs_needed(found, "large_batch") == "2.5"
