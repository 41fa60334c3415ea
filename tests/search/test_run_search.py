"""Real searches: every trial is a process."""

import collections
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import keras
import pytest

from keras_lbreg.experiments.checkpoint import Checkpoint
from keras_lbreg.experiments.manifest import read_manifest
from keras_lbreg.search import Ledger, read_search, run_search
from keras_lbreg.search.events import (
    SearchEnded,
    SearchStarted,
    TrialEnded,
    TrialProgress,
    TrialStarted,
)
from tests.search.small_search import block_tensorflow, small_search

# The search of another process, which can be killed.
SEARCH = """
import json, sys
from keras_lbreg.search import Search, run_search
run_search(Search.from_json(json.load(open(sys.argv[1]))))
"""
# So that there is time to kill a trial in the middle.
MANY_EPOCHS = 200
BACKEND = keras.backend.backend()
SEVERAL = {"tensorflow": "mirrored", "jax": "jax-data-parallel"}[BACKEND]


@pytest.fixture(autouse=True)
def backend_alone(monkeypatch):
    block_tensorflow(monkeypatch)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Three trials of two executions, two at a time; and what was told."""
    with pytest.MonkeyPatch.context() as patch:
        block_tensorflow(patch)
        search = small_search(
            tmp_path_factory.mktemp("finished"),
            trials=3,
            executions=2,
            workers=2,
        )
        told = []
        return run_search(search, told.append), told


def counts(path):
    """How often each kind of event is in the ledger, by trial."""
    events = Ledger(pathlib.Path(path) / "ledger.jsonl").read()
    return collections.Counter(
        (event["event"], event.get("trial")) for event in events
    )


def test_all_trials_completed(finished):
    results, _ = finished
    assert [trial.id for trial in results.trials] == ["000", "001", "002"]
    for trial in results.trials:
        assert trial.status == "completed"
        assert [run.seed for run in trial.executions] == [0, 1]
        assert {run.epochs for run in trial.executions} == {2}
        mean = sum(run.val_accuracy for run in trial.executions) / 2
        assert trial.score == mean
    assert results.best.score == max(x.score for x in results.trials)
    assert results.ended_why == "trials"


def test_two_workers_share_a_search_without_repeating(finished):
    results, _ = finished
    happened = counts(results.path)
    for trial in results.trials:
        assert happened["trial_created", trial.id] == 1
        assert happened["trial_started", trial.id] == 1
        assert happened["execution_ended", trial.id] == 2
        assert happened["trial_ended", trial.id] == 1
    assert len({trial.worker for trial in results.trials}) == 2
    assert len({str(trial.values) for trial in results.trials}) == 3
    # At the same time, not one after the other.
    first, second = results.trials[:2]
    assert second.started < first.ended


def test_each_trial_trained_its_configuration(finished):
    results, _ = finished
    for trial in results.trials:
        manifest = read_manifest(results.path / "trials" / trial.id)
        [arm] = manifest["arms"]
        wanted = trial.configuration
        assert arm["batch_size"] == wanted.batch_size == 32
        assert set(arm["techniques"]) == set(wanted.techniques)
        for name, settings in wanted.techniques.items():
            assert settings.items() <= arm["techniques"][name].items()
        factor = wanted.learning_rate_factor
        rule = wanted.techniques.get("lr_scaling", {}).get("rule")
        scale = {None: 1, "sqrt": 2, "linear": 4}[rule]
        expected = pytest.approx(0.02 * factor * scale)
        assert arm["learning_rate"] == expected
        assert manifest["backend"] == BACKEND


def test_events_tell_it_as_it_happens(finished):
    results, told = finished
    assert isinstance(told[0], SearchStarted)
    assert told[0].results.trials == ()
    assert told[0].epochs == 2
    assert told[-1] == SearchEnded(results)
    kinds = collections.Counter(type(event) for event in told)
    assert kinds[TrialStarted] == kinds[TrialEnded] == 3
    progress = [event for event in told if isinstance(event, TrialProgress)]
    assert all(event.epochs == 2 for event in progress)
    ended = [event for event in told if isinstance(event, TrialEnded)]
    assert ended[-1].best == results.best
    assert read_search(results.path) == results


def test_memory_of_the_search_stays_flat(finished):
    results, _ = finished
    peaks = [trial.peak_memory for trial in results.trials]
    assert max(peaks) - min(peaks) < 5e6


def test_a_killed_search_goes_on(tmp_path):
    """SIGKILL in the middle of a trial, whose process ends with the search."""
    search = small_search(tmp_path, trials=1, epochs=MANY_EPOCHS)
    path = pathlib.Path(search.out_dir)
    kept = killed_in_a_trial(search, tmp_path, "000")
    assert counts(path)["trial_ended", "000"] == 0

    told = []
    results = run_search(search, told.append)
    [trial] = results.trials
    assert (trial.status, trial.executions[0].epochs) == (
        "completed",
        MANY_EPOCHS,
    )
    assert results.sessions == 2
    assert counts(path)["trial_created", "000"] == 1
    assert counts(path)["trial_started", "000"] == 2
    assert counts(path)["execution_ended", "000"] == 1
    assert counts(path)["trial_ended", "000"] == 1
    [started] = [event for event in told if isinstance(event, TrialStarted)]
    assert started.resumed
    # Epochs before the checkpoint were not trained again: their lines hold
    # the times of the first session.
    journal = (path / "trials/000/runs/trial/seed-0/epochs.jsonl").read_bytes()
    assert journal.startswith(kept)
    epochs = [json.loads(line)["epoch"] for line in journal.splitlines()]
    assert epochs == [*range(5, MANY_EPOCHS + 1, 5)]


def killed_in_a_trial(search, folder, trial_id):
    """Start the search and kill it in mid trial.

    Returns:
        What the trial's journal holds up to its last checkpoint.
    """
    file = folder / "search-to-kill.json"
    file.write_text(json.dumps(search.to_json()))
    with subprocess.Popen([sys.executable, "-c", SEARCH, str(file)]) as process:
        try:
            run = pathlib.Path(search.out_dir, "trials", trial_id, "runs/trial")
            checkpoint = Checkpoint(run / "seed-0/checkpoint.npz")
            wait_until(checkpoint.path.exists, process)
            children = child_processes(process.pid)
            assert [x for x in children if "run_trial" in command_of(x)]
        finally:
            process.kill()
    # Its guardian kills the trials.
    wait_until(lambda: not any(map(alive, children)))
    epoch, _, _ = checkpoint.load()
    lines = (run / "seed-0/epochs.jsonl").read_bytes().splitlines(True)
    kept = [line for line in lines if line.endswith(b"\n")]
    kept = [line for line in kept if json.loads(line)["epoch"] <= epoch]
    assert kept
    return b"".join(kept)


def wait_until(condition, process=None, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        assert process is None or process.poll() is None, "it has ended"
        time.sleep(0.005)


def child_processes(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def alive(pid):
    # A process that nobody waits for stays as a zombie.
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_interrupted_and_with_trials_that_fail(tmp_path):
    """SIGTERM to the search; then SIGKILL to one trial, and a divergence."""
    # A rate at which the loss is not finite.
    search = small_search(tmp_path, learning_rate_factor=(1e29, 1e30))
    handler = signal.getsignal(signal.SIGTERM)

    def stop(event):
        if isinstance(event, TrialStarted):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        run_search(search, stop)
    assert signal.getsignal(signal.SIGTERM) is handler
    assert not running_trials()
    results = read_search(search.out_dir)
    assert [trial.status for trial in results.trials] == ["running"]
    path = pathlib.Path(search.out_dir)
    assert Ledger(path / "ledger.jsonl").read()[-1]["event"] == "interrupted"

    killer = threading.Thread(target=kill_first_trial)

    def kill(event):
        if isinstance(event, TrialStarted) and event.trial.id == "000":
            killer.start()

    results = run_search(search, kill)
    killer.join()
    first, second = results.trials
    assert (first.status, second.status) == ("failed", "failed")
    assert "killed by SIGKILL (out of memory?)" in first.reason
    assert "the loss became" in second.reason
    assert results.best is None
    assert results.ended_why == "trials"
    assert counts(path)["trial_ended", "000"] == 1


def running_trials():
    children = child_processes(os.getpid())
    return [x for x in children if "run_trial" in command_of(x)]


def kill_first_trial():
    wait_until(running_trials)
    os.kill(running_trials()[0], signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_twice_it_comes_to_the_same_end(tmp_path):
    search = small_search(tmp_path, trials=3, epochs=MANY_EPOCHS)
    killed_in_a_trial(search, tmp_path, "000")
    killed_in_a_trial(search, tmp_path, "001")
    results = run_search(search)
    whole = run_search(
        dataclasses.replace(search, out_dir=str(tmp_path / "whole"))
    )
    assert results.sessions == 3
    for one, other in zip(results.trials, whole.trials, strict=True):
        assert (one.values, one.score) == (other.values, other.score)
        assert counts(results.path)["trial_created", one.id] == 1
        assert counts(results.path)["execution_ended", one.id] == 1
        assert counts(results.path)["trial_ended", one.id] == 1


@pytest.mark.slow
def test_hyperband_trains_the_best_on(tmp_path):
    """Three trials of one epoch; the best goes on to the third."""
    search = small_search(tmp_path, tuner="hyperband", trials=4, epochs=3)
    results = run_search(search)
    short, longer = results.trials[:3], results.trials[3]
    assert [trial.executions[0].epochs for trial in short] == [1, 1, 1]
    assert longer.executions[0].epochs == 3
    best = max(short, key=lambda trial: trial.score)
    assert longer.configuration == best.configuration
    assert results.best == longer


@pytest.mark.slow
def test_each_trial_has_a_strategy_of_its_own(tmp_path):
    search = small_search(
        tmp_path, trials=1, strategy=SEVERAL, virtual_devices=2
    )
    results = run_search(search)
    manifest = read_manifest(results.path / "trials/000")
    assert manifest["config"]["strategy"] == SEVERAL
    assert manifest["config"]["devices"] == 2
    assert results.best.id == "000"
