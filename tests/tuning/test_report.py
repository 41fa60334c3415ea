import csv
import io

import pytest

from keras_lbreg.files import write_file, write_json
from keras_lbreg.training.records import EpochRecord, run_folder, write_summary
from keras_lbreg.tuning import report

WORKLOAD = {"objective": "val_accuracy", "direction": "max", "is_share": True}
CONFIG = {"holdout": 0.2, "executions": 2, "epochs": 9}
MANIFEST = {
    "workload": {"title": "Small", **WORKLOAD},
    "config": {"engine": "random", **CONFIG},
    "backend": "jax",
    "device": "a processor",
    "created": "2026-01-01T00:00:00",
}
PLAIN = {"batch_size": 512, "lr_scaling.rule": "sqrt"}
TUNED = {
    "batch_size": 512,
    "learning_rate_factor": 1.25,
    "lr_scaling.rule": "linear",
    "lr_scaling.warmup_epochs": 2,
    "dreg": True,
    "dreg.weight": 0.123,
    "dreg.layer": -2,
}
# Scores by seed, settings.
TRIALS = {
    "0": ((0.9, 0.92), PLAIN),
    "1": ((0.93, 0.95), TUNED),
    "2": (None, PLAIN),
    "3": ((0.92, 0.96), {"batch_size": 512, "lr_scaling.rule": "<b>"}),
    "4": ((0.5, 0.6), {"batch_size": 1024, "units": 3, "dreg": False}),
}


def make_result(path, trials=TRIALS, manifest=MANIFEST):
    folder = path / "search"
    objective = manifest["workload"]["objective"]
    for trial_id, (scores, values) in trials.items():
        own = folder / f"trial_{trial_id}"
        state = {
            "status": "FAILED" if scores is None else "COMPLETED",
            "message": "Traceback\nValueError: no",
            "hyperparameters": {"values": values},
        }
        write_json(own / "trial.json", state)
        for seed, value in enumerate(scores or ()):
            logs = {objective: value}
            place = run_folder(own, "run_1", seed)
            record = EpochRecord("run_1", seed, 9, 9, 9, 2.0, 3.0, 0.1, 0, logs)
            line = str(record.to_json()).replace("'", '"') + "\n"
            write_file(place / "epochs.jsonl", line)
            write_summary(place, "finished")
    write_json(folder / "oracle.json", {"start_order": [*trials]})
    found = tuple(report.read_trials(folder, objective))
    return report.TuneResult(path, manifest, found)


def test_trials_are_read_and_ranked(tmp_path):
    write_file(tmp_path / "search/trial_2/error.txt", "OOM\n\nTraceback")
    result = make_result(tmp_path)
    assert [trial.trial_id for trial in result.ranking] == ["1", "3", "0", "4"]
    assert report.table_rows(result)[0] == (
        "1",
        "94.0 ± 1.4",
        "2",
        "4.0 s",
        "512, rate x1.2, LR(linear, 2), DReg(0.12, -2)",
    )
    assert report.table_rows(result)[3][-1] == "1024, units=3"
    # The margin is 4.5: the better half, 1 and 3, has variances 2e-4 and 8e-4.
    assert result.headline() == (
        "Trial 1 is the best of 4: val_accuracy 94.0 ± 1.4 % on held-out "
        "training data. Within noise of it (two standard errors): 2 others. "
        "The best of many looks better than it is."
    )
    assert "| trial | val_accuracy, % |" in result.table()
    assert "Failed: OOM (trials 2)" in result.table()


def test_other_directions_and_shorter_trials(tmp_path):
    workload = {"objective": "val_loss", "direction": "min", "is_share": False}
    trials = {
        # Hyperband stopped the first one: it does not compare.
        f"{n}": ((score,), {"batch_size": 8, "tuner/epochs": 9 if n else 3})
        for n, score in enumerate((0.05, 0.3, 0.1))
    }
    manifest = {**MANIFEST, "workload": workload}
    result = make_result(tmp_path, trials, manifest)
    assert [trial.stat.mean for trial in result.ranking] == [0.1, 0.3]
    assert result.headline().startswith("Trial 2 is the best of 3")
    assert "nothing is known of the noise" in result.headline()


def test_damaged_records_are_no_number(tmp_path):
    make_result(tmp_path)
    journal = run_folder(tmp_path / "search/trial_1", "run_1", 0)
    write_file(journal / "epochs.jsonl", "")
    found = tuple(report.read_trials(tmp_path / "search", "val_accuracy"))
    result = report.TuneResult(tmp_path, MANIFEST, found)
    assert result.best.trial_id == "3"
    assert "it was changed or cut (trials 1)" in result.table()


def test_all_trials_are_in_the_csv(tmp_path):
    text = report.to_csv(make_result(tmp_path))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["trial"] for row in rows] == [*TRIALS]
    assert (rows[2]["status"], rows[2]["reason"]) == (
        "failed",
        "ValueError: no",
    )
    assert rows[2]["val_accuracy_mean"] == ""
    assert float(rows[1]["val_accuracy_mean"]) == pytest.approx(0.94)
    assert (rows[1]["dreg.layer"], rows[0]["dreg.layer"]) == ("-2", "")


@pytest.mark.parametrize("trials", [TRIALS, {}])
def test_the_page(trials, tmp_path):
    result = make_result(tmp_path, trials)
    report.write_report(result)
    page = result.report_path.read_text()
    assert "<b>" not in page
    # Batch, factor and rule, warm-up and DReg's values have one value each.
    assert page.count("<svg") == (4 if trials else 0)
    for name in ("progress", "slices"):
        path = tmp_path / "plots" / f"{name}.png"
        assert path.is_file() == bool(trials)
    assert (tmp_path / "table.md").read_text() == result.table()
    assert (result.best is None) == (not trials)
    assert result.headline() in f"{result}"
