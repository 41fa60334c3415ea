import math
import pathlib

import pytest

from keras_lbreg.experiments.results import EpochRecord, Results, RunResult
from keras_lbreg.experiments.statistics import (
    Stat,
    arm_statistics,
    exceeds_chance,
    gap_is_resolved,
)


def make_run(arm, seed, accuracies, status="finished"):
    epochs = tuple(
        EpochRecord(
            arm=arm,
            seed=seed,
            epoch=epoch,
            updates=10 * epoch,
            samples=100 * epoch,
            wall_time=0.5 * epoch,
            learning_rate=0.1,
            loss=1.0,
            accuracy=0.9,
            val_loss=1.0,
            val_accuracy=accuracy,
            weight_distance=1.0,
        )
        for epoch, accuracy in enumerate(accuracies, 1)
    )
    reason = "broke" if status == "failed" else None
    return RunResult(arm, seed, status, reason, epochs)


def make_results(runs):
    names = list(dict.fromkeys(run.arm for run in runs))
    arms = [{"name": n, "title": n, "group": "alone"} for n in names]
    seeds = sorted({run.seed for run in runs})
    manifest = {"arms": arms, "seeds": seeds}
    return Results(pathlib.Path("."), manifest, tuple(runs))


def three_arms():
    return make_results(
        [
            make_run("small_batch", 0, [0.8, 0.95, 0.9]),
            make_run("small_batch", 1, [0.8, 0.9, 0.94]),
            make_run("large_batch", 0, [0.5, 0.7, 0.8]),
            make_run("large_batch", 1, [0.5, 0.7, 0.82]),
            make_run("lr", 0, [0.5, 0.92, 0.86]),
            make_run("lr", 1, [0.5, 0.7, 0.9]),
        ]
    )


def test_stat():
    assert Stat.of([1.0, 2.0, 3.0]) == Stat(2.0, 1.0, 3)
    assert Stat.of([1.0, math.nan]).n == 1
    assert math.isnan(Stat.of([1.0]).std)
    assert math.isnan(Stat.of([]).mean)


def test_numbers_by_hand():
    small, large, lr = arm_statistics(three_arms())
    assert small.final.mean == pytest.approx(0.92)
    assert small.final.std == pytest.approx(0.02 * 2**0.5)
    assert small.best.mean == pytest.approx((0.95 + 0.94) / 2)
    assert small.gap.mean == small.gap.std == 0
    # Gaps 0.10 and 0.12.
    assert large.gap.mean == pytest.approx(0.11)
    assert large.gap.std == pytest.approx(0.01 * 2**0.5)
    assert large.closed.mean == 0
    # Gains 0.06 and 0.08 of gaps 0.10 and 0.12: 7/11 closed. What is left
    # over is 0.06 - 0.7/11 and 0.08 - 0.84/11, 0.02 - 0.14/11 apart.
    assert lr.closed.mean == pytest.approx(7 / 11)
    spread = (0.02 - 0.14 / 11) / 2**0.5
    assert lr.closed.std == pytest.approx(spread / 0.11)
    assert lr.updates.mean == 30
    assert lr.wall_time.mean == 1.5


def test_time_to_the_small_batch():
    small, large, lr = arm_statistics(three_arms())
    # The level is the mean final accuracy, 0.92.
    assert small.reached == 2
    assert small.epochs_to_reference.mean == 2.5
    assert large.reached == 0
    assert math.isnan(large.time_to_reference.mean)
    assert (lr.reached, lr.time_to_reference.mean) == (1, 1.0)
    assert lr.updates_to_reference.mean == 20


def test_failed_runs_do_not_count_but_are_named():
    runs = list(three_arms().runs)
    runs[-1] = make_run("lr", 1, [0.1], status="failed")
    lr = arm_statistics(make_results(runs))[2]
    assert lr.finished == 1
    assert lr.failed == {1: "broke"}
    assert lr.final.mean == pytest.approx(0.86)
    assert lr.closed.mean == pytest.approx(0.6)


def test_without_the_reference_there_is_no_gap():
    runs = [r for r in three_arms().runs if r.arm != "small_batch"]
    large, lr = arm_statistics(make_results(runs))
    assert math.isnan(large.gap.mean)
    assert math.isnan(lr.closed.mean)
    assert lr.reached == 0


def test_no_gap_to_close():
    runs = [
        make_run(arm, seed, [0.9])
        for arm in ("small_batch", "large_batch", "lr")
        for seed in (0, 1)
    ]
    assert math.isnan(arm_statistics(make_results(runs))[2].closed.mean)


def test_chance_is_judged_by_student_s_t():
    # Mean 2, standard error 0.577: 3.46 of them, where t asks for 4.30.
    assert not exceeds_chance(Stat.of([1.0, 2.0, 3.0]))
    assert exceeds_chance(Stat.of([1.5, 2.0, 2.5]))
    # The same mean and deviation over ten values: t is 2.26.
    assert exceeds_chance(Stat(2.0, 1.0, 10))
    assert not exceeds_chance(Stat.of([1.0]))
    # Two runs that agree to the last image say nothing about the noise.
    assert not exceeds_chance(Stat.of([0.0016, 0.0016]))
    assert exceeds_chance(Stat.of([0.0016, 0.0016, 0.0016]))
    assert not exceeds_chance(Stat.of([-1.5, -2.0, -2.5]))


def test_gap_is_resolved_where_it_exceeds_chance():
    # Gaps 0.10 and 0.12 are 11 standard errors; t of two values is 12.7.
    assert not gap_is_resolved(three_arms())
    even = [
        make_run(arm, seed, [level + 0.01 * seed])
        for arm, level in (("small_batch", 0.9), ("large_batch", 0.8))
        for seed in range(3)
    ]
    assert gap_is_resolved(make_results(even))
    noisy = [
        make_run("small_batch", 0, [0.9]),
        make_run("small_batch", 1, [0.9]),
        make_run("large_batch", 0, [0.8]),
        make_run("large_batch", 1, [0.9]),
    ]
    assert not gap_is_resolved(make_results(noisy))
    assert not gap_is_resolved(make_results(noisy[::2]))
