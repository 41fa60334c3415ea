import math
import subprocess
import sys

import pytest

from keras_lbreg.experiments.journal import append_to_journal, read_journal
from keras_lbreg.experiments.json_file import read_json, write_json
from keras_lbreg.experiments.results import (
    EpochRecord,
    best_accuracy,
    read_results,
    run_dir,
)
from tests.experiments.fake_results import SCALED, SMALL, fake_manifest


def record(**changes):
    values = {
        "arm": "lr",
        "seed": 1,
        "epoch": 2,
        "updates": 20,
        "samples": 200,
        "wall_time": 0.25,
        "learning_rate": 0.1,
        "loss": 1.5,
        "accuracy": 0.5,
        "val_loss": 1.25,
        "val_accuracy": 0.625,
        "weight_distance": 3.0,
        "extras": {"dreg_distance": 0.5},
    }
    return EpochRecord(**{**values, **changes})


def write(folder, records, summary=None):
    manifest = fake_manifest((SMALL, SCALED), seeds=2)
    write_json(folder / "manifest.json", manifest)
    run = run_dir(folder, "lr", 1)
    run.mkdir(parents=True)
    for one in records:
        append_to_journal(run / "epochs.jsonl", one.to_json())
    if summary:
        write_json(run / "summary.json", summary)


def test_record_round_trip(tmp_path):
    append_to_journal(tmp_path / "a.jsonl", record().to_json())
    [line] = read_journal(tmp_path / "a.jsonl")
    assert EpochRecord.from_json(line) == record()


def test_what_is_not_finite_becomes_null_and_reads_back_as_nan(tmp_path):
    wild = record(loss=math.inf, extras={"dreg_distance": math.nan})
    append_to_journal(tmp_path / "a.jsonl", wild.to_json())
    [line] = read_journal(tmp_path / "a.jsonl")
    assert line["loss"] is None
    again = EpochRecord.from_json(line)
    assert math.isnan(again.loss)
    assert math.isnan(again.extras["dreg_distance"])
    assert again.val_loss == 1.25


def test_unfinished_finished_and_failed_runs(tmp_path):
    write(tmp_path, [record(epoch=1, val_accuracy=0.75), record()])
    results = read_results(tmp_path)
    [run] = results.runs
    assert (run.arm, run.seed, run.status) == ("lr", 1, "running")
    assert (run.final_val_accuracy, run.best_val_accuracy) == (0.625, 0.75)
    assert (run.updates, run.wall_time) == (20, 0.25)
    assert results.arm_names == ["small_batch", "lr"]
    assert not results.complete

    file = run_dir(tmp_path, "lr", 1) / "summary.json"
    write_json(file, {"status": "failed", "reason": "it broke"})
    [run] = read_results(tmp_path).runs
    assert (run.status, run.reason) == ("failed", "it broke")


def test_best_accuracy():
    records = [record(val_accuracy=v) for v in (math.nan, 0.5, 0.25)]
    assert best_accuracy(records) == 0.5
    assert math.isnan(best_accuracy([]))


def test_other_schema_is_refused(tmp_path):
    write_json(tmp_path / "manifest.json", {"schema": 99})
    with pytest.raises(ValueError, match="schema 99, this version reads 1"):
        read_results(tmp_path)


def test_json_files_are_replaced_whole(tmp_path):
    file = tmp_path / "folder" / "a.json"
    write_json(file, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(file, {"a": math.nan})
    assert read_json(file, {"a": int}) == {"a": 1}
    file.write_text("{")
    with pytest.raises(ValueError, match=r"a\.json: it is not valid JSON"):
        read_json(file, dict)


def test_results_are_read_without_keras(tmp_path):
    write(tmp_path, [record()], {"status": "finished", "reason": None})
    code = (
        "import sys\n"
        "sys.orig_argv = ['python', 'lbreg']\n"
        "sys.modules['keras'] = None\n"
        "from keras_lbreg.experiments import read_results\n"
        f"print(read_results({str(tmp_path)!r}).runs[0].status)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert answer.stdout.strip() == "finished", answer.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": None}, "expected an array as manifest.arms"),
        ({"arms": [{}]}, r"manifest.arms\[0\].name is missing"),
        ({"seeds": [0, "1"]}, r"expected an integer as manifest.seeds\[1\]"),
        ({"dataset": []}, "expected an object as manifest.dataset"),
        ({"cpu_count": True}, "expected an integer or null as manifest"),
    ],
)
def test_manifest_of_another_shape_is_refused(tmp_path, changes, message):
    manifest = {**fake_manifest((SMALL, SCALED), seeds=2), **changes}
    write_json(tmp_path / "manifest.json", manifest)
    with pytest.raises(ValueError, match=rf"manifest\.json: {message}"):
        read_results(tmp_path)


def test_manifest_without_its_parts_is_refused(tmp_path):
    for content in ({"schema": 1}, []):
        write_json(tmp_path / "manifest.json", content)
        with pytest.raises(ValueError, match=r"Cannot read .*manifest\.json"):
            read_results(tmp_path)


@pytest.mark.parametrize("summary", [[], {}, {"status": 1}, "finished"])
def test_summary_of_another_shape_is_refused(tmp_path, summary):
    write(tmp_path, [record()])
    write_json(run_dir(tmp_path, "lr", 1) / "summary.json", summary)
    with pytest.raises(ValueError, match=r"Cannot read .*summary\.json"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        {},
        {**record().to_json(), "epoch": "3"},
        {**record().to_json(), "loss": "small"},
        {**record().to_json(), "extras": []},
        {**record().to_json(), "another": 1},
    ],
)
def test_line_that_is_no_record_is_refused(tmp_path, line):
    write(tmp_path, [record(), record()])
    append_to_journal(run_dir(tmp_path, "lr", 1) / "epochs.jsonl", line)
    with pytest.raises(ValueError, match=r"epochs\.jsonl: line 3 is damaged"):
        read_results(tmp_path)
