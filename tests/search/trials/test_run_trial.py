"""The program of a trial, called in this process."""

import contextlib
import json
import shutil
import types

import pytest

from keras_lbreg.experiments.lock import lock
from keras_lbreg.experiments.results import read_run
from keras_lbreg.search.trials import run_trial
from keras_lbreg.search.trials.trial_folder import TrialFolder
from keras_lbreg.tuning.configuration import Configuration
from tests.search.small_search import small_search

EPOCHS = 6
CONFIGURATION = Configuration(
    32, {"ghost_batch_norm": {"ghost_batch_size": 8}}, 2.0
)


def make(tmp_path, trial_id, executions=1, values=(), **settings):
    """The folder of a trial, with its `spec.json`."""
    search = small_search(
        tmp_path, epochs=EPOCHS, executions=executions, **settings
    )
    folder = TrialFolder(tmp_path / "trials" / trial_id, executions)
    folder.write_spec(search, CONFIGURATION, dict(values), EPOCHS)
    return folder


def numbers(folder):
    """What was recorded in every epoch, but for the time."""
    records = read_run(folder.path, "trial", 0).epochs
    return [{**x.to_json(), "wall_time": None} for x in records]


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    folder = make(tmp_path_factory.mktemp("complete"), "000", executions=2)
    assert folder.ended() == []
    assert folder.progress() is None
    run_trial.main(folder.path)
    return folder


def copy(folder, tmp_path):
    """A copy whose second run has no end yet."""
    shutil.copytree(folder.path, tmp_path / "000")
    summary = tmp_path / "000/runs/trial/seed-1/summary.json"
    summary.unlink()
    return TrialFolder(tmp_path / "000", executions=2), summary


def test_every_execution_has_a_seed_and_the_configuration(complete):
    folder = complete
    assert folder.complete()
    first, second = folder.ended()
    assert (first["seed"], first["execution"], first["epochs"]) == (
        0,
        0,
        EPOCHS,
    )
    assert (second["seed"], second["execution"]) == (1, 1)
    run = read_run(folder.path, "trial", 1)
    assert second["val_accuracy"] == run.final_val_accuracy
    manifest = json.loads((folder.path / "manifest.json").read_text())
    [arm] = manifest["arms"]
    ghosts = arm["techniques"]["ghost_batch_norm"]
    assert ghosts["ghost_batch_size"] == 8
    assert arm["learning_rate"] == 2 * 0.02
    assert manifest["dataset"]["val_samples"] == 19

    # All is there: called again, it trains nothing.
    before = (folder.path / "runs/trial/seed-0/epochs.jsonl").stat().st_mtime_ns
    run_trial.main(folder.path)
    again = (folder.path / "runs/trial/seed-0/epochs.jsonl").stat().st_mtime_ns
    assert before == again


def test_hyperband_continues_exactly(tmp_path):
    """Two of six epochs, then the rest in another trial: as six in one."""
    short = make(tmp_path, "000", values={"tuner/epochs": 2})
    run_trial.main(short.path)
    assert short.ended()[0]["epochs"] == 2
    longer = make(
        tmp_path,
        "001",
        values={"tuner/epochs": EPOCHS, "tuner/trial_id": "000"},
    )
    run_trial.main(longer.path)
    whole = make(tmp_path, "002")
    run_trial.main(whole.path)
    assert numbers(longer) == numbers(whole)
    assert numbers(short) == numbers(whole)[:2]


def test_progress_is_told_once(complete, tmp_path):
    folder, _ = copy(complete, tmp_path)
    assert not folder.complete()
    progress = folder.progress()
    assert (progress["execution"], progress["epoch"]) == (1, EPOCHS)
    assert progress["epochs"] == EPOCHS
    assert folder.progress() is None


def test_a_divergence_is_a_failure_and_ends_the_trial(tmp_path):
    folder = make(tmp_path, "000", executions=2)
    spec = json.loads((folder.path / "spec.json").read_text())
    spec["configuration"]["learning_rate_factor"] = 1e30
    (folder.path / "spec.json").write_text(json.dumps(spec))
    run_trial.main(folder.path)
    assert not folder.complete()
    assert "the loss became" in folder.failure()
    assert not (folder.path / "runs/trial/seed-1").exists()


def test_a_crash_is_a_failure_once_the_process_has_ended(complete, tmp_path):
    folder, summary = copy(complete, tmp_path)
    crash = {"status": "failed", "reason": "OSError: disk", "retry": True}
    summary.write_text(json.dumps(crash))
    # A search that goes on tries it again.
    assert folder.failure() is None
    assert folder.failure(final=True) == "OSError: disk"
    assert not folder.complete()
    run_trial.main(folder.path)
    assert folder.complete()
    assert folder.failure(final=True) is None


def test_it_waits_as_long_as_another_process_trains(tmp_path, monkeypatch):
    """However long: a trial whose folder is in use has not failed."""
    folder = make(tmp_path, "000")
    held = []

    def give_way(seconds):
        held.append(seconds)
        if len(held) == 3:
            other.close()

    other = contextlib.ExitStack()
    other.enter_context(lock(folder.path))
    clock = types.SimpleNamespace(sleep=give_way)
    monkeypatch.setattr(run_trial, "time", clock)
    run_trial.main(folder.path)
    assert held == [run_trial.PAUSE] * 3
    assert folder.complete()
