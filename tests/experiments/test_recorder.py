import types

import keras
import numpy as np
import pytest

from keras_lbreg import distribute
from keras_lbreg.callbacks.multi_worker_backup import training_state
from keras_lbreg.callbacks.weight_distance import WeightDistance
from keras_lbreg.experiments import recorder as recorder_module
from keras_lbreg.experiments.checkpoint import Checkpoint
from keras_lbreg.experiments.journal import read_journal
from keras_lbreg.experiments.placement import Placement
from keras_lbreg.experiments.recorder import Recorder


@pytest.fixture
def reads(monkeypatch):
    """What went over the network, and the models whose state was read."""
    sent, read = [], []

    def broadcast(handle, arrays):
        if arrays is None:
            return sent.pop(0)
        sent.append(arrays)
        return arrays

    def reading(model):
        read.append(model)
        return training_state(model)

    monkeypatch.setattr(distribute, "broadcast_from_chief", broadcast)
    monkeypatch.setattr(recorder_module, "training_state", reading)
    return read


def fit(folder, worker):
    """Train for two epochs of three as one of two workers."""
    folder.mkdir()
    plan = types.SimpleNamespace(
        arm=types.SimpleNamespace(name="lr"),
        placement=Placement("multi-worker", 2, workers=2, worker=worker),
        record_every=1,
        steps_per_epoch=2,
        batch_size=4,
        epochs=3,
        last_epoch=3,
    )
    distance = WeightDistance()
    recorder = Recorder(
        plan,
        0,
        folder / "epochs.jsonl",
        Checkpoint(folder / "checkpoint.npz"),
        types.SimpleNamespace(seconds=1.0),
        distance,
        (),
        lambda event: None,
    )
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(
        np.ones((8, 2)),
        np.ones((8, 1)),
        batch_size=4,
        epochs=2,
        verbose=0,
        callbacks=[distance, recorder],
    )
    return model


def test_all_workers_read_and_the_chief_writes(tmp_path, reads, monkeypatch):
    # The chief's clock decides, not each worker's own.
    due = iter([True, False])
    monkeypatch.setattr(Checkpoint, "due", lambda self: next(due))
    models = [fit(tmp_path / f"{worker}", worker) for worker in (0, 1)]
    assert reads == models
    assert [path.name for path in (tmp_path / "1").iterdir()] == []
    epoch, state, _ = Checkpoint(tmp_path / "0" / "checkpoint.npz").load()
    assert (epoch, len(state)) == (1, len(training_state(models[0])))
    assert len(read_journal(tmp_path / "0" / "epochs.jsonl")) == 2


def test_a_full_disk_of_the_chief_stops_all(tmp_path, reads, monkeypatch):
    def full(path, line):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder_module, "append_to_journal", full)
    with pytest.raises(OSError, match="No space"):
        fit(tmp_path / "0", 0)
    with pytest.raises(OSError, match=r"chief, worker 0.*No space"):
        fit(tmp_path / "1", 1)
