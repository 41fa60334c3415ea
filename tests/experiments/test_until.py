"""Runs that stop early, and runs that go on where others stopped."""

import json
import shutil

import keras
import pytest

from keras_lbreg.experiments import build, compare, run
from keras_lbreg.experiments.events import EpochEnded, RunStarted
from keras_lbreg.experiments.plan import make_plan
from keras_lbreg.experiments.results import run_dir
from tests.experiments.small_problem import experiment, numbers

# Noise, mix, DReg and ghosts at once; five epochs, the rate falls at 2 and 4.
ARM = "all"
EPOCHS = 5


def half(folder, **changes):
    settings = {"arms": (ARM,), "epochs": EPOCHS, "until": 0.5}
    return experiment(folder, **{**settings, **changes})


def whole(folder, name, **changes):
    return half(folder, until=None, out_dir=str(folder / name), **changes)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a run that stopped at epoch 3 of 5, and its events."""
    folder = tmp_path_factory.mktemp("stopped")
    events = []
    results = compare(half(folder), on_event=events.append)
    return folder, results, events


def test_a_run_stops_at_the_next_epoch_and_keeps_its_checkpoint(stopped):
    _, results, events = stopped
    [result] = results.runs
    assert result.status == "finished"
    assert [record.epoch for record in result.epochs] == [1, 2, 3]
    assert (run_dir(results.path, ARM, 0) / "checkpoint.npz").is_file()
    [arm] = results.arms
    assert (arm["until"], arm["epochs"], arm["updates"]) == (3, 5, 15)
    assert "stops after epoch 3" in arm["changes"]
    assert next(e for e in events if isinstance(e, RunStarted)).epochs == 3
    ended = [e for e in events if isinstance(e, EpochEnded)]
    assert {(e.epochs, e.updates) for e in ended} == {(3, 9)}


def test_a_run_goes_on_elsewhere_bit_for_bit(stopped, tmp_path):
    _, results, _ = stopped
    journal = run_dir(results.path, ARM, 0) / "epochs.jsonl"
    before = journal.read_bytes()
    expected = compare(whole(tmp_path, "straight"))
    assert numbers(expected)[:3] == numbers(results)
    events = []
    continued = run(
        whole(tmp_path, "continued"),
        ARM,
        on_event=events.append,
        continue_from=results.path,
    )
    assert next(e for e in events if isinstance(e, RunStarted)).epoch == 3
    assert [record.epoch for record in continued.epochs] == [1, 2, 3, 4, 5]
    rows = [record.to_json() for record in continued.epochs]
    for row in rows:
        del row["wall_time"]
    assert rows == numbers(expected)
    there = tmp_path / "continued"
    assert not (run_dir(there, ARM, 0) / "checkpoint.npz").exists()
    # The first run is as it was, and a second call repeats nothing.
    assert journal.read_bytes() == before
    again = run(whole(tmp_path, "continued"), ARM, continue_from=results.path)
    assert again == continued


def test_a_run_killed_at_its_last_epoch_is_only_summed_up(stopped, tmp_path):
    shutil.copytree(stopped[0], tmp_path, dirs_exist_ok=True)
    summary = run_dir(tmp_path / "run", ARM, 0) / "summary.json"
    expected = json.loads(summary.read_text())
    summary.unlink()
    [result] = compare(half(tmp_path)).runs
    assert result.status == "finished"
    for content in (expected, result.summary):
        del content["session_time"]
    assert result.summary == expected
    assert summary.with_name("checkpoint.npz").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 6}, "epochs: 5 there, 6 now"),
        ({"hyperparameters": {}}, "hyperparameters: "),
        ({"holdout": 0.25}, r"train_samples: 96 there"),
        ({"until": 0.2}, "at most epoch 1.*has epoch 3"),
    ],
)
def test_another_run_is_not_continued(stopped, tmp_path, changes, message):
    other = half(tmp_path, out_dir=str(tmp_path / "other"), **changes)
    with pytest.raises(ValueError, match=message):
        run(other, ARM, continue_from=stopped[1].path)
    assert not run_dir(tmp_path / "other", ARM, 0).exists()


def test_a_folder_without_the_run_is_not_continued(stopped, tmp_path):
    chosen = whole(tmp_path, "other")
    with pytest.raises(ValueError, match=r"all, seed 1.*no checkpoint"):
        run(chosen, ARM, seed=1, continue_from=stopped[1].path)
    with pytest.raises(ValueError, match=r"manifest\.json"):
        run(chosen, ARM, continue_from=tmp_path / "nowhere")


def test_another_end_is_another_configuration(stopped, tmp_path):
    shutil.copytree(stopped[0], tmp_path, dirs_exist_ok=True)
    with pytest.raises(ValueError, match=r"until: 0\.5 there, None now"):
        compare(half(tmp_path, until=None))


def test_a_run_that_diverges_late_keeps_no_checkpoint(tmp_path, monkeypatch):
    class Diverge(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                kernel = self.model.trainable_variables[0]
                kernel.assign(kernel * float("nan"))

    monkeypatch.setattr(build, "build_callbacks", lambda *args: [Diverge()])
    [result] = compare(half(tmp_path, arms=("lr",))).runs
    assert result.reason == "the loss became nan in epoch 3"
    # Of the first epoch: there was one.
    folder = run_dir(tmp_path / "run", "lr", 0)
    assert not (folder / "checkpoint.npz").exists()


@pytest.mark.parametrize(
    ("epochs", "until", "last"),
    [
        (20, 0.5, 10),
        (20, 3 / 20, 3),
        (20, 0.01, 1),
        # In floating point a little more than 7.
        (25, 7 / 25, 7),
        (20, 0.51, 11),
        # Recorded every second epoch.
        (80, 0.5, 40),
        (80, 41 / 80, 42),
        (80, 1.0, 80),
    ],
)
def test_the_last_epoch_is_recorded(epochs, until, last):
    from keras_lbreg.data import load_dataset
    from keras_lbreg.experiments import Experiment

    chosen = Experiment("digits", epochs=epochs, until=until)
    plan = make_plan(chosen, "lr", load_dataset("digits"))
    assert plan.last_epoch == last
    assert plan.epochs == epochs
    assert plan.samples == last * 1024
    assert [e for e, _ in plan.regime.milestones] == [
        round(epochs / 2),
        round(epochs * 3 / 4),
    ]
    assert ("until" in plan.describe()) == (until < 1)
