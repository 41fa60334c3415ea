"""The winner is really trained again, in a process of its own."""

import pytest

from keras_lbreg.experiments.results import run_dir
from keras_lbreg.search.confirmation.confirm import confirm
from keras_lbreg.search.confirmation.confirm_experiment import (
    confirm_path,
    read_confirmation,
)
from keras_lbreg.search.events import (
    ConfirmEnded,
    ConfirmProgress,
    ConfirmStarted,
)
from keras_lbreg.search.read_search import read_search
from tests.search.fake_search import write_search

WINNER = {
    "batch_size": 512,
    "learning_rate_factor": 1.5,
    "lr_scaling": True,
    "lr_scaling.rule": "sqrt",
    "lr_scaling.warmup_epochs": 0,
    "ghost_batch_norm": True,
    "ghost_batch_norm.ghost_batch_size": 32,
}


def write_small_search(folder):
    return read_search(
        write_search(
            folder,
            trials=1,
            failed=(),
            values=[WINNER],
            epochs=1,
            confirm_seeds=1,
        )
    )


class Interrupted:
    """Listens until the second run trains, then presses Ctrl-C."""

    def __call__(self, event):
        if isinstance(event, ConfirmProgress) and event.arm != "small_batch":
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory):
    """Interrupted once and finished: the search, events, and a first run."""
    results = write_small_search(tmp_path_factory.mktemp("search"))
    with pytest.raises(KeyboardInterrupt):
        confirm(results, Interrupted())
    first = run_dir(confirm_path(results), "small_batch", 1000)
    before = (first / "epochs.jsonl").read_bytes()
    events = []
    comparison = confirm(results, events.append)
    after = (first / "epochs.jsonl").read_bytes()
    return results, comparison, events, before == after


@pytest.mark.slow
def test_all_arms_ran_on_the_fresh_seed(confirmed):
    results, comparison, _, _ = confirmed
    assert comparison.complete
    assert comparison.arm_names == ["small_batch", "large_batch", "lr", "tuned"]
    assert comparison.manifest["seeds"] == [1000]
    assert {run.status for run in comparison.runs} == {"finished"}
    tuned = comparison.arms[-1]
    assert tuned["techniques"]["ghost_batch_norm"]["ghost_batch_size"] == 32
    scaled = comparison.arms[2]["learning_rate"]
    assert tuned["learning_rate"] == pytest.approx(1.5 * scaled)
    # All training data, and the validation data that no trial saw.
    assert comparison.manifest["dataset"]["train_samples"] == 1024
    assert comparison.manifest["config"].get("holdout") in (None, 0)
    assert read_confirmation(results).runs == comparison.runs


@pytest.mark.slow
def test_what_had_ended_before_the_interrupt_was_kept(confirmed):
    assert confirmed[-1]


@pytest.mark.slow
def test_events(confirmed):
    results, comparison, events, _ = confirmed
    started, *between, ended = events
    assert isinstance(started, ConfirmStarted)
    assert started.seeds == (1000,)
    assert started.path == confirm_path(results)
    assert isinstance(ended, ConfirmEnded)
    assert ended.results.runs == comparison.runs
    told = {event.arm: event for event in between}
    assert list(told) == list(started.arms)
    for run in comparison.runs:
        assert told[run.arm].epoch == told[run.arm].epochs == 1
        assert told[run.arm].val_accuracy == run.final_val_accuracy


def test_a_process_that_dies_says_how(tmp_path, monkeypatch):
    results = write_small_search(tmp_path)
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho that was all\nkill -9 $$\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    events = []
    with pytest.raises(RuntimeError, match=r"(?s)SIGKILL.*that was all"):
        confirm(results, events.append)
    assert [type(event) for event in events] == [ConfirmStarted]


def test_without_a_winner_nothing_is_started(tmp_path):
    results = read_search(write_search(tmp_path, trials=1, failed=(0,)))
    with pytest.raises(ValueError, match="has none"):
        confirm(results)
    assert not confirm_path(results).exists()
