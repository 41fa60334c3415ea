"""The printed numbers are those computed by hand from the runs."""

import csv
import dataclasses
import io
import math

import numpy as np
import pytest

from keras_lbreg.experiments.formatting import (
    accuracy_decimals,
    format_count,
    format_duration,
    format_rate,
    format_stat,
)
from keras_lbreg.experiments.headline import headline
from keras_lbreg.experiments.results import read_results
from keras_lbreg.experiments.statistics import Stat
from keras_lbreg.experiments.table import (
    COLUMNS,
    table_rows,
    to_csv,
    to_markdown,
)
from tests.experiments.fake_results import (
    ARMS,
    LARGE,
    LONGER,
    SCALED,
    SMALL,
    final_percent,
    write_results,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return read_results(write_results(tmp_path_factory.mktemp("results")))


def cells(results, title):
    rows = {
        row[0]: dict(zip(COLUMNS, row, strict=True))
        for row in table_rows(results)
    }
    return rows[title]


def test_final_accuracy_is_mean_and_sample_deviation(results):
    for arm in ARMS:
        final = final_percent(arm)
        expected = f"{final.mean():.1f} ± {final.std(ddof=1):.1f}"
        assert cells(results, arm.title)["final, %"] == expected


def test_gap_and_share_closed(results):
    row = cells(results, "LR")
    gap = final_percent(SMALL) - final_percent(SCALED)
    assert row["gap"] == f"{gap.mean():.1f} ± {gap.std(ddof=1):.1f}"
    gain = final_percent(SCALED) - final_percent(LARGE)
    whole = final_percent(SMALL) - final_percent(LARGE)
    share = gain.mean() / whole.mean()
    spread = (gain - share * whole).std(ddof=1) / whole.mean()
    assert row["closed, %"] == f"{100 * share:.0f} ± {100 * spread:.0f}"
    assert share == pytest.approx(0.5)


def test_updates_time_and_time_to_the_small_batch(results):
    row = cells(results, "LR + GBN + RA")
    assert row["updates"] == "600"
    # 600 updates of 2 ms and 300 epochs of 10 ms.
    assert row["time"] == "4.2 s"
    target = np.mean(SMALL.final)
    times = []
    for seed in range(3):
        hits = [
            r.wall_time
            for r in LONGER.records(seed)
            if r.val_accuracy >= target
        ]
        times += hits[:1]
    assert len(times) == 2
    assert row["time to small"] == f"{np.mean(times):.1f} s (2 of 3)"
    assert cells(results, "LR")["time to small"] == "never"


def test_one_seed_has_no_spread(tmp_path):
    results = read_results(write_results(tmp_path, seeds=1))
    assert "±" not in to_markdown(results)
    assert cells(results, "LR")["closed, %"] == "50"
    assert "One seed only" in headline(results)


def test_failed_and_missing_runs_are_counted(tmp_path):
    write_results(
        tmp_path,
        failed=[("lr", 2), *(("lr_gbn_ra", s) for s in range(3))],
        unfinished=[("large_batch", 1)],
    )
    results = read_results(tmp_path)
    assert cells(results, "LR")["seeds"] == "2 of 3"
    assert cells(results, "LR")["final, %"] == "93.5 ± 0.7"
    assert cells(results, "LR + GBN + RA")["seeds"] == "0 of 3"
    assert cells(results, "LR + GBN + RA")["final, %"] == "–"
    assert cells(results, "Large batch")["seeds"] == "2 of 3"


def test_markdown_has_a_row_per_arm(results):
    lines = to_markdown(results).splitlines()
    assert len(lines) == 2 + len(ARMS)
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 1}


def test_csv_reads_back_as_numbers(results):
    rows = list(csv.DictReader(io.StringIO(to_csv(results))))
    assert [row["arm"] for row in rows] == [arm.name for arm in ARMS]
    lr = rows[2]
    assert float(lr["final_mean"]) == pytest.approx(0.94)
    assert float(lr["final_std"]) == pytest.approx(0.01)
    assert float(lr["closed_mean"]) == pytest.approx(0.5)
    assert lr["time_to_reference_mean"] == ""


def test_headline_names_gap_and_best_remedies(results):
    text = headline(results)
    assert "from batch 20 to 300 costs 6.0 points" in text
    assert "LR + GBN + RA gives back 106 % of it, with 15 times" in text
    assert "number of updates LR gives back most, 50 %." in text
    assert "95 % t interval" in text
    assert "3 seeds; 2 remedies tried" in text


def test_headline_measures_remedies_against_scaling_alone(tmp_path):
    better = dataclasses.replace(
        SCALED, name="lr_dreg", title="LR + DReg", group="alone"
    )
    chance = dataclasses.replace(better, final=(0.95, 0.935, 0.957))
    lucky = dataclasses.replace(better, final=(0.97, 0.925, 0.95))
    better = dataclasses.replace(better, final=(0.945, 0.954, 0.966))
    for arm, expected in (
        (better, "LR + DReg gives back 75 % of it, against 50 % by"),
        (
            chance,
            "no more than chance above learning-rate scaling alone (50 %)",
        ),
        # The best on average, but not by more than chance.
        (lucky, "LR gives back 50 % of it."),
    ):
        folder = write_results(
            tmp_path / str(arm.final), (SMALL, LARGE, SCALED, arm)
        )
        assert expected in headline(read_results(folder))


def test_headline_does_not_praise_a_control(tmp_path):
    control = dataclasses.replace(
        SCALED,
        name="lr_doubled",
        title="LR x2",
        group="control",
        final=(0.96, 0.97, 0.98),
    )
    write_results(tmp_path, (SMALL, LARGE, SCALED, control))
    assert "LR x2" not in headline(read_results(tmp_path))


def with_finals(*finals):
    return [
        dataclasses.replace(arm, final=final)
        for arm, final in zip(ARMS, finals, strict=False)
    ]


@pytest.mark.parametrize(
    ("finals", "expected"),
    [
        (
            [(0.9, 0.9, 0.9), (0.92, 0.92, 0.92), (0.9, 0.9, 0.9)],
            "costs no accuracy",
        ),
        (
            [(0.90, 0.95, 0.91), (0.91, 0.90, 0.92), (0.9, 0.9, 0.9)],
            "within the noise of 3 seeds",
        ),
        (
            [(0.96, 0.97, 0.98), (0.90, 0.91, 0.92), (0.93, 0.89, 0.91)],
            "No remedy gives back more than chance",
        ),
        (
            [(0.96, 0.97, 0.98), (0.90, 0.91, 0.92), (0.80, 0.81, 0.82)],
            "No remedy gives back more",
        ),
    ],
    ids=["no gap", "noise", "chance", "harm"],
)
def test_headline_is_honest(tmp_path, finals, expected):
    write_results(tmp_path, with_finals(*finals))
    assert expected in headline(read_results(tmp_path))


def test_headline_without_the_large_batch(tmp_path):
    write_results(tmp_path, (SMALL, SCALED))
    assert "no gap to compare with" in headline(read_results(tmp_path))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (format_stat(Stat(0.123, 0.011, 3), 1, 100), "12.3 ± 1.1"),
        (format_stat(Stat(-0.0001, math.nan, 1), 1, 100), "0.0"),
        (format_stat(Stat(math.nan, math.nan, 0)), "–"),
        (format_duration(0.84), "0.8 s"),
        (format_duration(59.7), "1 min 00 s"),
        (format_duration(185), "3 min 05 s"),
        (format_duration(7800), "2 h 10 min"),
        (format_duration(math.nan), "–"),
        (format_count(12345.0), "12,345"),
        (format_count(math.nan), "–"),
        (format_rate(0.0632455), "0.0632"),
        (format_rate(math.nan), "–"),
    ],
)
def test_formats(text, expected):
    assert text == expected


def test_digits_follow_the_spread():
    assert accuracy_decimals([Stat(0.9, 0.01, 3)]) == 1
    assert accuracy_decimals([Stat(0.98, 0.0008, 3)]) == 2
    assert accuracy_decimals([Stat(0.98, math.nan, 1)]) == 1
