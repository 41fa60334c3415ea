import csv
import io
import math

import pytest

from keras_lbreg.files import write_file, write_json
from keras_lbreg.tuning import report

WORKLOAD = {
    "title": "Small",
    "objective": "val_accuracy",
    "direction": "max",
    "is_share": True,
}
# Scores by seed, settings.
TRIALS = {
    "0": ((0.9, 0.92), {"batch_size": 512, "lr_scaling.rule": "sqrt"}),
    "1": (
        (0.93, 0.95),
        {
            "batch_size": 512,
            "learning_rate_factor": 1.25,
            "lr_scaling.rule": "linear",
            "lr_scaling.warmup_epochs": 2,
            "dreg": True,
            "dreg.weight": 0.123,
            "dreg.layer": -2,
        },
    ),
    "2": (None, {"batch_size": 512, "lr_scaling.rule": "sqrt"}),
    "3": ((0.92, 0.96), {"batch_size": 512, "lr_scaling.rule": "<b>"}),
    "4": ((0.5, 0.6), {"batch_size": 1024, "units": 3, "dreg": False}),
}


def write_project(folder, trials=TRIALS, **oracle):
    for trial_id, (scores, values) in trials.items():
        own = folder / f"trial_{trial_id}"
        score = None if scores is None else sum(scores) / len(scores)
        write_json(
            own / "trial.json",
            {
                "status": "FAILED" if scores is None else "COMPLETED",
                "score": score,
                "message": "Traceback\nValueError: no",
                "hyperparameters": {"values": values},
            },
        )
        for seed, value in enumerate(scores or ()):
            write_json(
                own / f"execution-{seed}" / "metrics.json",
                {
                    "seed": seed,
                    "seconds": 2.0,
                    "metrics": {"val_accuracy": value, "val_loss": 1 - value},
                },
            )
    write_json(folder / "oracle.json", {"start_order": [*trials], **oracle})
    return report.read_trials(folder)


def test_trials_are_read_and_ranked(tmp_path):
    trials = write_project(tmp_path)
    write_file(tmp_path / "trial_2" / "error.txt", "OOM\n\nTraceback")
    trials = report.read_trials(tmp_path)
    ranking = report.rank(trials, WORKLOAD)
    assert [trial.trial_id for trial in ranking.trials] == ["1", "3", "0", "4"]
    assert [trial.reason for trial in ranking.failed] == ["OOM"]
    # Pooled over the better half, 1 and 3: variances 2e-4 and 8e-4.
    assert ranking.margin == pytest.approx(2 * math.sqrt(5e-4))
    assert [trial.trial_id for trial in ranking.within] == ["3", "0"]
    assert trials[0].seconds == 4.0
    rows = report.top_rows(ranking)
    assert rows[0][1:] == (
        "94.0 ± 1.4",
        "–",
        "2",
        "4.0 s",
        "512, rate x1.2, LR(linear, 2), DReg(0.12, -2)",
    )
    assert [row[2] for row in rows[1:]] == ["~0.0", "~3.0", "39.0"]
    assert rows[3][-1] == "1,024, units=3"
    text = report.search_headline(ranking)
    assert text.startswith(
        "Trial 1 is the best of 4: val_accuracy 94.0 ± 1.4 % on held-out "
        "training data. 2 others are within noise of it"
    )
    markdown = report.to_markdown(ranking)
    assert "| trial | val_accuracy, % | behind |" in markdown
    assert "Failed: OOM (trials 2)" in markdown


def test_a_loss_is_ranked_the_other_way(tmp_path):
    workload = {**WORKLOAD, "objective": "val_loss", "direction": "min"}
    trials = [
        report.TrialRecord(
            str(number), "completed", {}, score, {0: {"val_loss": score}}
        )
        for number, score in enumerate((0.3, 0.1, 0.2))
    ]
    ranking = report.rank(trials, {**workload, "is_share": False})
    assert [trial.score for trial in ranking.trials] == [0.1, 0.2, 0.3]
    assert ranking.behind(ranking.trials[1]) == pytest.approx(0.1)
    assert "nothing is known of the noise" in report.search_headline(ranking)


def test_shorter_trials_do_not_compare(tmp_path):
    trials = {
        "0": ((0.9,), {"tuner/epochs": 3}),
        "1": ((0.8,), {"tuner/epochs": 9}),
    }
    ranking = report.rank(
        write_project(tmp_path, trials, max_epochs=9), WORKLOAD
    )
    assert [trial.trial_id for trial in ranking.trials] == ["1"]
    assert [trial.part for trial in ranking.shorter] == [1 / 3]


def test_all_trials_are_in_the_csv(tmp_path):
    text = report.to_csv(write_project(tmp_path), "val_accuracy")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["trial"] for row in rows] == [*TRIALS]
    assert rows[2]["status"] == "failed"
    assert rows[2]["reason"] == "ValueError: no"
    assert rows[2]["val_accuracy_mean"] == ""
    assert float(rows[1]["val_accuracy_mean"]) == pytest.approx(0.94)
    assert (rows[1]["dreg.layer"], rows[0]["dreg.layer"]) == ("-2", "")


@pytest.mark.parametrize("trials", [TRIALS, {}])
def test_the_page(trials, tmp_path):
    manifest = {
        "workload": WORKLOAD,
        "config": {"holdout": 0.2, "engine": "random", "executions": 2},
        "backend": "jax",
        "device": "a processor",
        "created": "2026-01-01T00:00:00",
    }
    trials = tuple(write_project(tmp_path / "search", trials))
    result = report.TuneResult(tmp_path, manifest, trials)
    report.write_report(result)
    page = result.report_path.read_text()
    assert "<b>" not in page
    assert page.count("<svg") == (2 if trials else 0)
    for name in ("progress", "slices"):
        path = tmp_path / "plots" / f"{name}.png"
        assert path.is_file() == bool(trials)
    assert (tmp_path / "table.md").read_text() == result.table()
    assert (result.best is None) == (not trials)
    assert result.headline() in f"{result}"
