"""Results of the old format, and the statistics of recipes' tables."""

import math
import shutil

import pytest
import scipy.stats

from keras_lbreg.comparison import Results
from keras_lbreg.comparison.statistics import Stat
from keras_lbreg.training.records import EpochRecord, RunResult
from recipes.study import cells
from recipes.study.recorded import read_recorded
from recipes.study.statistics import p_value, verdict
from recipes.yuan_2020.statistics import mean_gap, reached
from tests.recipes.studies import study_of


def results(path="unused", **accuracies):
    """Results with these accuracies by arm, seed and epoch."""
    runs = [
        RunResult(
            arm,
            seed,
            "finished",
            epochs=tuple(
                EpochRecord(arm, seed, epoch, epoch, 0, 0, 0, 0.1, value)
                for epoch, value in enumerate(values, 1)
            ),
        )
        for arm, seeds in accuracies.items()
        for seed, values in enumerate(seeds)
    ]
    arms = [{"name": arm, "title": arm} for arm in accuracies]
    manifest = {"arms": arms, "seeds": [0, 1, 2]}
    manifest["workload"] = {"objective": "val_accuracy", "direction": "max"}
    return Results(path, manifest, tuple(runs))


def test_old_results_are_read_whole(tmp_path):
    folder = study_of("hoffer_2017").path("digits")
    folder = folder.with_name("digits")
    found = read_recorded(folder)
    assert found.objective == "val_accuracy"
    assert found.maximize
    assert found.complete
    run = next(r for r in found.runs_of("lr") if r.seed == 0)
    assert run.final == run.summary["final_val_accuracy"]
    assert run.best == run.summary["best_val_accuracy"]
    assert run.epochs[0].logs["loss"] == pytest.approx(2.5859377)
    copy = tmp_path / "digits"
    shutil.copytree(folder, copy)
    journal = copy / "runs" / "lr" / "seed-0" / "epochs.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))
    with pytest.raises(ValueError, match="not what the run wrote"):
        read_recorded(copy)


def test_cells_are_paired_by_seed_and_judged():
    found = results(
        small_batch=[[0.90], [0.92], [0.94]],
        large_batch=[[0.80], [0.81], [0.83]],
        lr=[[0.90], [0.91], [0.95]],
    )
    assert cells.accuracy(found, "small_batch") == "92.00 ± 2.00 (3)"
    assert cells.accuracy(found, "lr_gbn") == ""
    assert cells.accuracy(None, "lr") == ""
    # 10, 11 and 11 points: t is far beyond chance.
    better = cells.difference(found, "small_batch", "large_batch")
    assert better == "**+10.67 ± 0.58** (3)"
    worse = cells.difference(found, "large_batch", "small_batch")
    assert worse == "**-10.67 ± 0.58** (3)"
    # 0, 1 and -1 points.
    assert cells.difference(found, "small_batch", "lr") == "+0.00 ± 1.00 (3)"


def test_p_values_and_verdicts():
    values = [0.01, 0.03, -0.01, 0.02]
    expected = scipy.stats.ttest_1samp(values, 0.0).pvalue
    assert p_value(Stat.of(values)) == pytest.approx(expected)
    assert math.isnan(p_value(Stat.of([0.1])))
    assert verdict(Stat.of([0.04, 0.05, 0.06])) == "better"
    assert verdict(Stat.of([-0.04, -0.05, -0.06])) == "worse"
    assert verdict(Stat.of([-0.04, 0.05, 0.06])) == ""


def test_yuans_statistics_by_pairs_of_seeds():
    found = results(
        large_batch=[[0.1, 0.5, 0.4], [0.2, 0.3, 0.6]],
        dreg=[[0.5, 0.4, 0.4], [0.3, 0.4, 0.5]],
    )
    gap = mean_gap(found, "dreg")
    assert gap.mean == pytest.approx((10 + 10 / 3) / 2)
    assert mean_gap(found, "large_batch", "dreg").mean == pytest.approx(
        -gap.mean
    )
    # Seed 0 has the baseline's best, .5, in epoch 1; seed 1 never has its .6.
    when = reached(found, "dreg")
    assert (when.epochs.mean, when.count, when.runs) == (1, 1, 2)
    assert reached(found, "large_batch").epochs.mean == 2.5
