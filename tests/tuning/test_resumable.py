import gc
import json
import os
import pathlib
import subprocess
import sys
import types

import pytest
from keras_tuner.errors import FailedTrialError

from keras_lbreg.tuning import resumable
from keras_lbreg.tuning.report import reason_of
from tests.tuning.sums import add, make_tuner

ROOT = pathlib.Path(__file__).parents[2]
SLOW = pytest.param("grid bayesian hyperband", marks=pytest.mark.slow)


@pytest.mark.parametrize("engines", ["random", SLOW])
def test_a_kill_at_any_write_changes_nothing(engines, tmp_path):
    """No ended trial is lost or run again, and what follows is the same."""
    program = ["-m", "tests.tuning.kill_at_every_write", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, *program, *engines.split()],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    # KerasTuner prints that it reloads.
    kills = json.loads(result.stdout.splitlines()[-1])
    assert all(count > 3 for count in kills.values()), kills


@pytest.mark.parametrize("was_frozen", [True, False])
def test_frozen_objects_stay_frozen(was_frozen, tmp_path):
    """And are none after a search before which there were none."""
    gc.unfreeze()
    if was_frozen:
        gc.freeze()
    make_tuner(tmp_path, trials=1).search()
    assert (gc.get_freeze_count() > 0) is was_frozen
    gc.freeze()


def control(values):
    return {"x": values["x"], "y": 0}


def values_of(tuner):
    tuner.search()
    trials = tuner.oracle.trials.values()
    return [trial.hyperparameters.values for trial in trials]


def test_what_is_proposed(tmp_path):
    found = [
        values_of(make_tuner(tmp_path / name, seed=seed, control=control))
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    ]
    assert found[0] == found[1]
    # Every fifth trial is a control, the first as published.
    assert found[0][0] == {"x": 0.5, "y": 0}
    assert found[0][5]["y"] == 0
    first, other = (
        {trial["x"] for trial in x[1:]} for x in (found[0], found[2])
    )
    assert not first & other


def test_a_budget_counts_all_sessions(tmp_path, monkeypatch):
    now = [0.0]
    clock = types.SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(resumable, "time", clock)

    def run(values):
        now[0] += 10
        return add(values)

    first = make_tuner(tmp_path, run=run, seconds=25)
    assert len(values_of(first)) == 3
    now[0] += 1000
    # What was spent is known, what has passed between does not count.
    again = make_tuner(tmp_path, run=run, seconds=45)
    assert len(values_of(again)) == 5
    more = make_tuner(tmp_path, run=run, trials=7)
    assert len(values_of(more)) == 7


def test_failures_have_reasons_and_the_search_goes_on(tmp_path):
    errors = iter(
        [
            MemoryError("no room"),
            FailedTrialError("the loss became nan in epoch 3"),
            RuntimeError("Graph execution error:\n\nat node x\n\nOOM [1,2]"),
            ValueError(),
        ]
    )

    def run(values):
        for error in errors:
            raise error
        return add(values)

    tuner = make_tuner(tmp_path, run=run)
    tuner.search()
    trials = list(tuner.oracle.trials.values())
    assert [t.status for t in trials] == ["FAILED"] * 4 + ["COMPLETED"] * 2
    folders = [tuner.get_trial_dir(trial.trial_id) for trial in trials[:4]]
    assert [reason_of(folder, None) for folder in folders] == [
        "MemoryError: no room",
        "the loss became nan in epoch 3",
        "RuntimeError: OOM [1,2]",
        "ValueError: no message",
    ]


def test_a_trial_that_ends_its_process_again_and_again_fails(tmp_path):
    def run(values):
        raise KeyboardInterrupt

    for _ in range(resumable.MOST_STARTS):
        with pytest.raises(KeyboardInterrupt):
            make_tuner(tmp_path, run=run, trials=1).search()
    tuner = make_tuner(tmp_path, run=run, trials=1)
    tuner.search()
    [trial] = tuner.oracle.trials.values()
    assert trial.status == "FAILED"
    assert "memory may be short" in trial.message


def test_workers_get_their_trials_back(tmp_path, monkeypatch):
    """Of a chief that is started again."""
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    first = make_tuner(tmp_path)
    first.save()
    # One of these was a search without workers.
    for worker in ("worker0", "tuner0"):
        first.oracle.create_trial(worker)
    oracle = make_tuner(tmp_path).oracle
    for worker, trial_id in (("worker1", "1"), ("worker0", "0")):
        assert oracle.create_trial(worker).trial_id == trial_id
    # Workers that were started with a chief ended with it.
    monkeypatch.delenv("KERASTUNER_ORACLE_IP")
    oracle = make_tuner(tmp_path).oracle
    found = {oracle.create_trial(worker).trial_id for worker in "ab"}
    assert found == {"0", "1"}
