import keras
import numpy as np
import pytest

from keras_lbreg.callbacks.multi_worker_backup import (
    set_training_state,
    training_state,
)
from keras_lbreg.experiments import checkpoint as checkpoint_module
from keras_lbreg.experiments.checkpoint import Checkpoint


def make_model(units=3):
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dropout(0.5, seed=1),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(units),
        ]
    )
    model.compile(keras.optimizers.Adam(0.1), "mse")
    return model


def fit(model):
    x = np.random.default_rng(0).normal(size=(8, 2))
    model.fit(x, np.ones((8, 3)), batch_size=4, shuffle=False, verbose=0)


def test_round_trip_continues_bit_for_bit(tmp_path):
    model = make_model()
    fit(model)
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")
    checkpoint.save(training_state(model), 7, {"updates": np.arange(3)})
    fit(model)
    expected = training_state(model)

    epoch, state, distance = Checkpoint(checkpoint.path).load()
    assert epoch == 7
    np.testing.assert_array_equal(distance["updates"], [0, 1, 2])
    again = make_model()
    set_training_state(again, state)
    fit(again)
    for a, b in zip(training_state(again), expected, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_nothing_to_load(tmp_path):
    assert Checkpoint(tmp_path / "checkpoint.npz").load() is None


def test_saves_take_a_twentieth_of_the_time(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(checkpoint_module.time, "monotonic", lambda: now[0])

    def slow_savez(file, **content):
        now[0] += 3

    monkeypatch.setattr(checkpoint_module.np, "savez", slow_savez)
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")
    assert checkpoint.due()
    checkpoint.save([], 1, {})
    now[0] += 59
    assert not checkpoint.due()
    now[0] += 1
    assert checkpoint.due()


@pytest.mark.parametrize(
    "content",
    [
        {"state/0": np.zeros(2)},
        {"epoch": np.array(3), "state/1": np.zeros(2)},
        {"epoch": np.array(3), "state/x": np.zeros(2)},
        {"epoch": np.zeros(2)},
    ],
    ids=["no epoch", "a variable less", "no number", "many epochs"],
)
def test_incomplete_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "checkpoint.npz"
    np.savez(path, **content)
    with pytest.raises(ValueError, match=r"checkpoint\.npz: .*--fresh"):
        Checkpoint(path).load()


def test_single_array_is_no_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.npz"
    with open(path, "wb") as file:
        np.save(file, np.zeros(2))
    with pytest.raises(ValueError, match="single array"):
        Checkpoint(path).load()
