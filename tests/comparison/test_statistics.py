"""Numbers by hand, corrected for how many there are, on any objective."""

import dataclasses
import math

import numpy as np
import pytest

from keras_lbreg.comparison.statistics import (
    Stat,
    arm_statistics,
    headline,
    holm,
    t_test,
)
from tests.comparison.fake_results import results_of

# Gaps 0.10 and 0.12, gains of LR 0.06 and 0.08.
ACCURACY = {
    "small_batch": [0.90, 0.94],
    "large_batch": [0.80, 0.82],
    "lr": [0.86, 0.90],
}
LOSS = {name: [1 - v for v in values] for name, values in ACCURACY.items()}
THREE = {
    "small_batch": [0.960, 0.970, 0.980],
    "large_batch": [0.900, 0.911, 0.922],
    "lr": [0.930, 0.941, 0.951],
    "lr_gbn": [0.940, 0.952, 0.961],
    "lr_noise": [0.931, 0.940, 0.952],
    "lr_dreg": [0.880, 0.892, 0.901],
}


def test_stat_leaves_out_what_is_missing():
    assert Stat.of([1.0, 2.0, 3.0]) == Stat(2.0, 1.0, 3)
    assert Stat.of([1.0, math.nan, None]).n == 1
    assert math.isnan(Stat.of([1.0]).std)
    assert math.isnan(Stat.of([]).mean)


@pytest.mark.parametrize(
    ("finals", "objective"), [(ACCURACY, "val_accuracy"), (LOSS, "val_loss")]
)
def test_numbers_by_hand(finals, objective):
    small, large, lr = arm_statistics(results_of(finals, objective=objective))
    assert small.final.mean == pytest.approx(finals["small_batch"][0], abs=0.03)
    assert small.final.std == pytest.approx(0.02 * 2**0.5)
    assert small.gap.mean == small.gap.std == 0
    assert large.gap.mean == pytest.approx(0.11)
    assert large.gap.std == pytest.approx(0.01 * 2**0.5)
    assert large.closed.mean == 0
    # Left over is 0.06 - 0.7/11 and 0.08 - 0.84/11, 0.02 - 0.14/11 apart.
    assert lr.closed.mean == pytest.approx(7 / 11)
    spread = (0.02 - 0.14 / 11) / 2**0.5
    assert lr.closed.std == pytest.approx(spread / 0.11)
    assert lr.difference.mean == pytest.approx(0.07)
    assert (lr.updates.mean, lr.time.mean) == (2, pytest.approx(0.014))
    assert lr.elapsed.mean > 5


@pytest.mark.parametrize("objective", ["val_accuracy", "val_loss"])
def test_time_to_the_small_batch(objective):
    level = 0.5
    finals = {
        "small_batch": [level, level],
        "large_batch": [0.4, 0.4] if objective == "val_accuracy" else [1, 1],
        "lr": [0.6, 0.4] if objective == "val_accuracy" else [0.4, 0.6],
    }
    results = results_of(finals, objective=objective, epochs=10)
    small, large, lr = arm_statistics(results)
    assert (small.reached, small.epochs_to_small.mean) == (2, 10)
    assert large.reached == 0
    assert math.isnan(large.time_to_small.mean)
    assert lr.reached == 1
    assert lr.epochs_to_small.mean < 10


def test_only_finished_runs_count():
    statuses = {("lr", 1): "failed", ("large_batch", 0): "damaged"}
    results = results_of(ACCURACY, statuses=statuses)
    _, large, lr = arm_statistics(results)
    assert (large.finished, lr.finished) == (1, 1)
    assert lr.final.mean == pytest.approx(0.86)
    # They have no seed in common.
    assert math.isnan(lr.closed.mean)


def test_a_gap_of_nothing_has_no_share():
    even = {name: [0.9, 0.9] for name in ACCURACY}
    assert math.isnan(arm_statistics(results_of(even))[2].closed.mean)
    del even["small_batch"]
    assert math.isnan(arm_statistics(results_of(even))[0].gap.mean)


def test_student_s_t():
    # Mean 2, standard error 0.577: 3.46 of them, where t asks for 4.30.
    interval, p = t_test([1.0, 2.0, 3.0])
    assert p == pytest.approx(0.0742, abs=1e-4)
    assert interval == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-3)
    assert t_test([1.5, 2.0, 2.5])[1] < 0.05 < t_test([-0.1, 2.0, 4.1])[1]
    assert np.isnan(np.hstack(t_test([1.0]))).all()
    # Two runs that agree to the last image say nothing about the noise.
    assert t_test([0.0016, 0.0016]) == ((0.0016, 0.0016), 1)
    assert t_test([0.0016] * 3)[1] == 0
    assert t_test([0.0] * 3)[1] == 1


def test_holm_s_method():
    # Compared with .05 / 4, .05 / 3, .05 / 2: the third fails, so the fourth.
    assert holm([0.04, 0.001, 0.03, 0.014]) == [False, True, False, True]
    assert holm([0.04, math.nan]) == [True, False]
    assert holm([]) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_verdicts(sign):
    finals = {k: [sign * v for v in values] for k, values in THREE.items()}
    objective = "val_accuracy" if sign > 0 else "val_loss"
    rows = arm_statistics(results_of(finals, objective=objective))
    assert {row.arm: row.verdict for row in rows} == {
        "small_batch": "",
        "large_batch": "worse",
        "lr": "better",
        "lr_gbn": "better",
        "lr_noise": "chance",
        "lr_dreg": "worse",
    }
    gbn = rows[3]
    assert (gbn.arm, gbn.control) == ("lr_gbn", "lr")
    assert gbn.difference.mean == pytest.approx(0.0103, abs=1e-4)


def test_more_arms_make_a_verdict_harder():
    finals = {k: THREE[k] for k in ("small_batch", "large_batch", "lr")}
    finals["lr_gbn"] = [
        a + d for a, d in zip(THREE["lr"], (0.006, 0.010, 0.009), strict=True)
    ]
    assert arm_statistics(results_of(finals))[3].verdict == "better"
    finals.update({f"idle_{i}": THREE["lr_noise"] for i in range(4)})
    row = arm_statistics(results_of(finals))[3]
    assert (row.verdict, row.p < 0.05) == ("chance", True)


def test_headline_of_shares():
    assert headline(results_of(THREE)) == (
        "Going from batch 20 to 300 costs 5.9 points of accuracy. LR + GBN "
        "gives back 68 % of it, against 50 % by learning-rate scaling alone. "
        "Worse than the plain large batch: LR + DReg. Chance is judged by t "
        "tests of the differences by seed, 3 seeds, with Holm's correction "
        "for 4 remedies."
    )


def test_headline_of_a_loss():
    finals = {k: [1.3 - v for v in values] for k, values in THREE.items()}
    text = headline(results_of(finals, objective="val_loss"))
    assert text.startswith(
        "Going from batch 20 to 300 costs 0.059 of val_loss. LR + GBN gives"
    )


@pytest.mark.parametrize(
    ("finals", "words"),
    [
        ({"lr": [0.9]}, "There is no finished run of both"),
        (
            {"small_batch": [0.9], "large_batch": [0.912]},
            "costs no accuracy here (1.2 points gained), so there is no gap",
        ),
        (
            {"small_batch": [0.9, 0.9, 0.9], "large_batch": [0.8, 0.9, 0.88]},
            "within the noise of 3 seeds",
        ),
        (
            {k: v[:1] for k, v in THREE.items()},
            "LR + GBN gives back 67 % of it, against 50 % by learning-rate "
            "scaling alone. Worse than the plain large batch: LR + DReg. One "
            "seed only: treat it as a first look.",
        ),
        (
            {k: THREE[k] for k in ("small_batch", "large_batch")},
            "No remedy has a finished run.",
        ),
        (
            {
                "small_batch": [0.90, 0.91, 0.92],
                "large_batch": [0.80, 0.81, 0.82],
                "lr": [0.70, 0.81, 0.92],
                "lr_gbn": [0.71, 0.821, 0.931],
            },
            "No remedy gives back more than chance would; on paper LR + GBN "
            "does best (11 %). Better than their controls all the same: LR + "
            "GBN.",
        ),
        (
            {**THREE, "lr_gbn_ra": [0.970, 0.981, 0.992]},
            "with 15 times the updates. At the large batch's number of "
            "updates LR + GBN gives back most",
        ),
    ],
)
def test_headline_of_what_is_less_clear(finals, words):
    assert words in headline(results_of(finals))


def test_lag_of_moving_statistics_is_named():
    moving = {"large_batch": -0.12, "lr": -0.03, "small_batch": -0.01}
    text = headline(results_of(THREE, moving=moving))
    assert "worse (Large batch by 12.0 points, LR by 3.0 points)" in text
    assert "no loss of generalisation" in text
    losses = {k: [1 - v for v in values] for k, values in THREE.items()}
    lagging = results_of(losses, objective="val_loss", moving={"lr": 0.12})
    assert "(LR by 0.12)" in headline(lagging)
    ahead = results_of(losses, objective="val_loss", moving={"lr": -0.12})
    assert "moving statistics" not in headline(ahead)


def test_an_arm_with_a_control_of_its_own():
    results = results_of(THREE)
    arms = [dict(arm) for arm in results.arms]
    arms[3]["control"] = "lr_noise"
    manifest = {**results.manifest, "arms": arms}
    text = headline(dataclasses.replace(results, manifest=manifest))
    assert "of it, against 51 % by LR + noise alone. Worse" in text
