import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import keras_lbreg as lbreg
from keras_lbreg.tuning import read_best
from keras_lbreg.tuning.report import read_search
from keras_lbreg.tuning.workers import Workers
from tests.tuning.search_program import tune, workload_of

ROOT = pathlib.Path(__file__).resolve().parents[2]


def scores(result):
    return {
        t.trial_id: (t.status, t.stat.mean, t.values) for t in result.trials
    }


def test_a_search_its_files_and_its_confirmation(tmp_path, capsys):
    result = tune(tmp_path, confirm_seeds=1, progress=True, executions=2)
    assert [trial.status for trial in result.trials] == ["completed"] * 3
    assert all(trial.stat.n == 2 for trial in result.trials)
    shown = capsys.readouterr().out
    assert "[3/3] Trial 2: " in shown
    assert "best so far" in shown
    # As published, the first trial.
    first = result.trials[0].values
    assert first["learning_rate_factor"] == 1.0
    assert first["ghost_batch_norm"] is False
    # The trials never saw the validation data, the winner's runs did.
    assert result.manifest["workload"]["val_samples"] == 40
    assert result.confirmation.manifest["seeds"] == [1000]
    assert result.confirmation.complete
    arms = {arm["name"]: arm for arm in result.confirmation.arms}
    tuned = arms[f"trial_{result.best.trial_id}"]
    factor = result.best.values["learning_rate_factor"]
    assert tuned["learning_rate_factor"] == factor
    # Equal updates, though a fifth of the samples is held out.
    assert {arm["updates"] for arm in result.confirmation.arms[1:]} == {4}
    arm, found = read_best(result.best_path)
    assert (arm.learning_rate_factor, found["batch_size"]) == (factor, 16)
    assert "The winner on fresh seeds" in result.report_path.read_text()
    assert str(result).startswith(f"Trial {result.best.trial_id} is the best")
    # What KerasTuner documents.
    hypermodel = result.tuner.hypermodel
    model = result.tuner.get_best_models()[0]
    assert hypermodel.export(model).compiled
    assert hypermodel.build(result.tuner.get_best_hyperparameters()[0]).compiled
    result.tuner.results_summary()
    result.tuner.search_space_summary()

    again = read_search(tmp_path)
    assert scores(again) == scores(result)
    assert again.headline() == result.headline()
    # Given again, nothing is trained; with more trials, only these.
    before = {
        path: path.stat().st_mtime_ns for path in tmp_path.rglob("epochs.jsonl")
    }
    more = tune(tmp_path, executions=2, trials=4)
    assert [t.status for t in more.trials] == ["completed"] * 4
    assert scores(more).items() >= scores(result).items()
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())


def test_a_folder_belongs_to_one_search(tmp_path):
    tune(tmp_path, trials=1)
    with pytest.raises(ValueError, match=r"another experiment \(.*seed"):
        tune(tmp_path, seed=1)
    assert len(tune(tmp_path, seed=1, trials=2, fresh=True).trials) == 2
    with pytest.raises(ValueError, match="belongs to `tune`"):
        lbreg.compare(workload_of(), out=tmp_path)


def test_failed_trials(tmp_path):
    """All of them: there is no winner, and no error."""
    result = tune(tmp_path, learning_rate=1e30, trials=2, confirm_seeds=1)
    assert [t.status for t in result.trials] == ["failed"] * 2
    assert all("loss became" in t.reason for t in result.trials)
    assert (result.best, result.confirmation) == (None, None)
    assert "No trial has completed" in str(result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0}, "`budget`"),
        ({"engine": "genetic"}, "`engine`.*random"),
        ({"batch_size": 64}, "training samples, 31"),
    ],
)
def test_mistakes_are_reported_before_any_trial(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        tune(tmp_path, **arguments)
    assert not list(tmp_path.rglob("trial_*"))


@pytest.mark.parametrize(
    "engine",
    ["hyperband", pytest.param("bayesian", marks=pytest.mark.slow), "grid"],
)
def test_engines(engine, tmp_path):
    result = tune(tmp_path, engine=engine, trials=3)
    assert {trial.status for trial in result.trials} == {"completed"}
    assert result.best is not None


def start(folder, **arguments):
    words = [str(folder), json.dumps(arguments)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.tuning.search_program", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_runs(folder, count, process):
    end = time.monotonic() + 120
    while len(list(folder.rglob("summary.json"))) < count:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_started_again(tmp_path):
    """Twice, and the results are those of one process."""
    process = start(tmp_path / "two", workers=2, trials=6)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for count in (1, 3):
        wait_for_runs(tmp_path, count, process)
        worker = max(map(int, children.read_text().split()))
        os.kill(worker, signal.SIGKILL)
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output
    two = read_search(tmp_path / "two")
    assert scores(two) == scores(tune(tmp_path / "one", trials=6))


@pytest.mark.slow
def test_a_search_that_is_killed_ends_as_if_it_was_not(tmp_path):
    for count in (1, 3):
        process = start(tmp_path / "killed", trials=5)
        wait_for_runs(tmp_path, count, process)
        process.kill()
        process.communicate()
    killed = tune(tmp_path / "killed", trials=5)
    assert scores(killed) == scores(tune(tmp_path / "whole", trials=5))


@pytest.mark.slow
def test_memory_does_not_grow(tmp_path):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    tune(tmp_path / "first", trials=5)
    before = resident()
    tune(tmp_path / "second", trials=100)
    assert resident() - before < 300e6


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit('no data')", r"(?s)ended 6 times.*no data"),
        ("pass", "All workers of the search ended"),
    ],
)
def test_workers_that_end_at_once_end_the_search(
    code, message, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", code])
    team = Workers(2, tmp_path)

    def search():
        with team.running():
            assert os.environ["KERASTUNER_TUNER_ID"] == "chief"
            while True:
                team.check(finished=0)
                time.sleep(0.02)

    with pytest.raises(RuntimeError, match=message):
        search()
    assert "KERASTUNER_TUNER_ID" not in os.environ
