import json
import os
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_lbreg.experiments import arm_names, compare, read_results, run
from keras_lbreg.experiments.events import EpochEnded, RunEnded, RunStarted
from keras_lbreg.experiments.results import run_dir
from keras_lbreg.experiments.run import in_one_line
from tests.experiments.small_problem import experiment, numbers

# "all" holds noise, mix, DReg and ghosts at once; the others tell which of
# them it is when it fails.
ARMS = [
    "all",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in arm_names()
        if name != "all"
    ),
]


class Stop:
    """Raises KeyboardInterrupt when the given epoch has been recorded."""

    def __init__(self, epoch):
        self.epoch = epoch
        self.events = []

    def __call__(self, event):
        self.events.append(event)
        if isinstance(event, EpochEnded) and event.record.epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("arm", ARMS)
def test_resumed_run_is_the_uninterrupted_one_bit_for_bit(arm, tmp_path):
    straight = experiment(tmp_path, arms=(arm,), out_dir=str(tmp_path / "a"))
    expected = numbers(compare(straight))
    assert len(expected) == (16 if arm == "lr_gbn_ra" else 4)

    broken = experiment(tmp_path, arms=(arm,), out_dir=str(tmp_path / "b"))
    with pytest.raises(KeyboardInterrupt):
        compare(broken, on_event=Stop(2))
    half = read_results(tmp_path / "b")
    assert half.runs[0].status == "running"
    assert not half.complete
    events = []
    results = compare(broken, on_event=events.append)
    begun = next(e for e in events if isinstance(e, RunStarted))
    assert 1 <= begun.epoch <= 2
    assert results.complete
    assert numbers(results) == expected


def test_same_seed_same_numbers_other_seed_others(tmp_path):
    common = {"arms": ("large_batch",), "epochs": 2}
    first = experiment(tmp_path, seeds=2, out_dir=str(tmp_path / "a"), **common)
    second = experiment(tmp_path, out_dir=str(tmp_path / "b"), **common)
    expected = numbers(compare(first))
    assert numbers(compare(second)) == expected[:2]
    assert expected[0]["loss"] != expected[2]["loss"]


def test_records(tmp_path):
    events = []
    result = run(experiment(tmp_path), "large_batch", on_event=events.append)
    assert result.status == "finished"
    assert [e.epoch for e in result.epochs] == [1, 2, 3, 4]
    assert [e.updates for e in result.epochs] == [3, 6, 9, 12]
    assert [e.samples for e in result.epochs] == [96, 192, 288, 384]
    times = [e.wall_time for e in result.epochs]
    assert 0 < times[0] < times[1] < times[2] < times[3]
    distances = [e.weight_distance for e in result.epochs]
    assert 0 < distances[0] < distances[3]
    assert result.epochs[0].learning_rate == pytest.approx(0.02)
    # The recipe for unknown datasets drops the rate at 50 % and 75 %.
    assert result.epochs[2].learning_rate == pytest.approx(0.002)
    assert result.epochs[3].learning_rate == pytest.approx(0.0002)
    assert result.epochs[3].loss < result.epochs[0].loss
    assert result.summary["final_val_accuracy"] == result.final_val_accuracy
    assert result.summary["best_val_accuracy"] == max(
        e.val_accuracy for e in result.epochs
    )
    assert [type(e) for e in events] == (
        [RunStarted] + [EpochEnded] * 4 + [RunEnded]
    )
    assert events[-1].result == result
    assert events[2].updates == 12


def test_finished_run_is_not_repeated(tmp_path):
    first = run(experiment(tmp_path), "large_batch")
    events = []
    second = run(experiment(tmp_path), "large_batch", on_event=events.append)
    assert [e.skipped for e in events] == [True]
    assert second == first
    third = run(experiment(tmp_path), "large_batch", fresh=True)
    assert third.summary["session_time"] != first.summary["session_time"]


def test_diverged_run_is_recorded_and_the_others_go_on(tmp_path):
    noise = {"gradient_noise": {"alpha": 1e60}}
    wild = experiment(tmp_path, arms=("lr_noise", "lr"), hyperparameters=noise)
    results = compare(wild)
    status = {run.arm: run.status for run in results.runs}
    assert status == {"lr": "finished", "lr_noise": "failed"}
    [failed] = results.runs_of("lr_noise")
    assert "loss became nan" in failed.reason
    assert np.isnan(failed.epochs[-1].loss)
    text = (run_dir(results.path, "lr_noise", 0) / "epochs.jsonl").read_text()
    assert json.loads(text.splitlines()[-1])["loss"] is None
    # It would diverge again: it is not repeated.
    events = []
    compare(wild, on_event=events.append)
    ended = [e for e in events if isinstance(e, RunEnded)]
    assert all(e.skipped for e in ended)


def test_crashed_run_is_recorded_and_tried_again(tmp_path, monkeypatch):
    from keras_lbreg.experiments import build

    working = build.build_data

    def no_memory(*args, **kwargs):
        raise MemoryError("no room for the batch\nand more")

    monkeypatch.setattr(build, "build_data", no_memory)
    result = run(experiment(tmp_path), "large_batch")
    assert result.status == "failed"
    assert result.reason == "MemoryError: no room for the batch"
    folder = run_dir(tmp_path / "run", "large_batch", 0)
    assert "Traceback" in (folder / "error.txt").read_text()
    monkeypatch.setattr(build, "build_data", working)
    assert run(experiment(tmp_path), "large_batch").status == "finished"
    assert not (folder / "error.txt").exists()


def test_crashed_run_goes_on_from_its_checkpoint(tmp_path):
    chosen = experiment(tmp_path, arms=("large_batch",))

    def crash(event):
        if isinstance(event, EpochEnded) and event.record.epoch == 2:
            raise OSError("disk full")

    [failed] = compare(chosen, on_event=crash).runs
    assert failed.reason == "OSError: disk full"
    events = []
    [finished] = compare(chosen, on_event=events.append).runs
    assert finished.status == "finished"
    assert next(e for e in events if isinstance(e, RunStarted)).epoch > 0
    assert [e.epoch for e in finished.epochs] == [1, 2, 3, 4]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A folder whose run was stopped after its third epoch."""
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.raises(KeyboardInterrupt):
        compare(experiment(folder, arms=("large_batch",)), on_event=Stop(3))
    return folder


def copy_of(interrupted, tmp_path):
    """The interrupted experiment, in a folder that a test may spoil."""
    shutil.copytree(interrupted, tmp_path, dirs_exist_ok=True)
    chosen = experiment(tmp_path, arms=("large_batch",))
    return chosen, run_dir(tmp_path / "run", "large_batch", 0)


def test_half_written_line_is_dropped_and_repeated(interrupted, tmp_path):
    chosen, folder = copy_of(interrupted, tmp_path)
    with open(folder / "epochs.jsonl", "a") as file:
        file.write('{"arm": "large_ba')
    [result] = compare(chosen).runs
    assert [e.epoch for e in result.epochs] == [1, 2, 3, 4]


def test_damaged_journal_is_refused_and_left_alone(interrupted, tmp_path):
    chosen, folder = copy_of(interrupted, tmp_path)
    journal = folder / "epochs.jsonl"
    damaged = journal.read_text().replace('{"arm"', "{arm", 1)
    journal.write_text(damaged)
    with pytest.raises(ValueError, match=r"epochs\.jsonl: line 1 is damaged"):
        compare(chosen)
    assert journal.read_text() == damaged


def test_damaged_checkpoint_is_refused_and_left_alone(interrupted, tmp_path):
    chosen, folder = copy_of(interrupted, tmp_path)
    content = (folder / "checkpoint.npz").read_bytes()[:500]
    (folder / "checkpoint.npz").write_bytes(content)
    # As after a crash, which is to be tried again.
    summary = '{"status": "failed", "reason": "crash", "retry": true}'
    (folder / "summary.json").write_text(summary)
    before = (folder / "epochs.jsonl").read_text()
    with pytest.raises(ValueError, match="Cannot read the checkpoint"):
        compare(chosen)
    assert (folder / "checkpoint.npz").read_bytes() == content
    assert (folder / "summary.json").read_text() == summary
    assert (folder / "epochs.jsonl").read_text() == before


def test_journal_that_misses_epochs_is_refused(interrupted, tmp_path):
    chosen, folder = copy_of(interrupted, tmp_path)
    (folder / "epochs.jsonl").write_text("")
    with pytest.raises(ValueError, match="does not reach the checkpoint"):
        compare(chosen)


def test_saved_model_takes_raw_inputs_and_is_plain(tmp_path):
    path = tmp_path / "model.keras"
    chosen = experiment(tmp_path)
    result = run(chosen, "lr_dreg", model_path=path)
    assert result.status == "finished", result.reason
    model = keras.saving.load_model(path)
    assert "dreg" not in type(model).__name__.lower()
    with np.load(chosen.dataset) as data:
        predicted = np.argmax(model.predict(data["x_val"], verbose=0), axis=1)
        accuracy = np.mean(predicted == data["y_val"])
    assert accuracy == pytest.approx(result.final_val_accuracy)


def test_model_file_is_the_one_of_the_run(tmp_path):
    path = tmp_path / "made" / "model.keras"
    chosen = experiment(tmp_path, epochs=1)

    def weights_after(arm):
        events = []
        run(chosen, arm, on_event=events.append, model_path=path)
        model = keras.saving.load_model(path)
        return events[-1].skipped, model.get_weights()

    _, expected = weights_after("large_batch")
    _, others = weights_after("lr")
    assert not np.array_equal(others[-1], expected[-1])
    # Not trained again, but written again.
    skipped, again = weights_after("large_batch")
    assert skipped
    for a, b in zip(again, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [p.name for p in path.parent.iterdir()] == ["model.keras"]


def test_finished_run_without_its_model_is_trained_again(tmp_path):
    chosen = experiment(tmp_path, epochs=1)
    path = tmp_path / "model.keras"
    run(chosen, "large_batch")
    run(chosen, "large_batch", model_path=path)
    assert path.is_file()


@pytest.mark.parametrize("name", ["model", "model.h5", "folder.keras"])
def test_model_that_cannot_be_saved_is_refused_first(tmp_path, name):
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(ValueError, match=r"ends in \.keras.*" + name):
        run(experiment(tmp_path), "lr", model_path=tmp_path / name)
    assert not (tmp_path / "run").exists()


def test_model_below_a_file_is_refused_first(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        run(
            experiment(tmp_path), "lr", model_path=tmp_path / "file" / "m.keras"
        )
    assert not (tmp_path / "run").exists()


def test_failure_to_save_is_not_the_run_s_failure(tmp_path, monkeypatch):
    def full(model, path):
        raise OSError("disk full")

    chosen = experiment(tmp_path, epochs=1)
    path = tmp_path / "model.keras"
    events = []
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save", full)
        with pytest.raises(OSError, match="disk full"):
            run(chosen, "lr", on_event=events.append, model_path=path)
    assert events[-1].result.status == "finished"
    assert not path.exists()
    assert run(chosen, "lr", model_path=path).status == "finished"
    assert path.is_file()


@pytest.mark.tensorflow
def test_tensorboard_logs_can_be_read(tmp_path):
    from tensorboard.backend.event_processing import event_accumulator

    compare(experiment(tmp_path, arms=("large_batch",), tensorboard=True))
    folder = tmp_path / "run" / "tensorboard" / "large_batch" / "seed-0"
    accumulator = event_accumulator.EventAccumulator(str(folder))
    accumulator.Reload()
    tensors = accumulator.Tensors("validation/accuracy")
    assert [event.step for event in tensors] == [3, 6, 9, 12]


@pytest.mark.slow
def test_killed_process_is_continued(tmp_path):
    chosen = experiment(tmp_path, epochs=60, out_dir=str(tmp_path / "killed"))
    code = (
        "from pathlib import Path\n"
        "from tests.experiments.small_problem import experiment\n"
        "from keras_lbreg.experiments import compare\n"
        f"compare(experiment(Path({str(tmp_path)!r}), epochs=60,"
        f" out_dir={chosen.out_dir!r}))\n"
    )
    journal = run_dir(chosen.out_dir, "small_batch", 0) / "epochs.jsonl"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if journal.is_file() and journal.read_bytes().count(b"\n") >= 5:
                break
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert journal.is_file()
    events = []
    continued = compare(chosen, on_event=events.append)
    assert next(e for e in events if isinstance(e, RunStarted)).epoch > 0
    straight = experiment(
        tmp_path, epochs=60, out_dir=str(tmp_path / "straight")
    )
    assert numbers(continued) == numbers(compare(straight))


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("", "no message"),
        ("no memory\nat line 3", "no memory"),
        (
            "Graph execution error:\n\nDetected at node X\n  File Y\n\n"
            "Aborted by: the following tasks are unhealthy:\ntask:1\n",
            "Aborted by: the following tasks are unhealthy:",
        ),
        ("Graph execution error:", "Graph execution error:"),
    ],
)
def test_an_error_in_one_line_says_what_happened(message, line):
    assert in_one_line(RuntimeError(message)) == f"RuntimeError: {line}"
