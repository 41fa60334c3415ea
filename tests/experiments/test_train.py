import numpy as np

from keras_lbreg.experiments.checkpoint import Checkpoint
from keras_lbreg.experiments.plain_data import from_arrays, to_arrays
from keras_lbreg.experiments.results import EpochRecord, RunResult
from keras_lbreg.experiments.train import Start

RECORD = EpochRecord(
    arm="lr",
    seed=0,
    epoch=2,
    updates=6,
    samples=192,
    wall_time=1.5,
    learning_rate=0.1,
    loss=0.5,
    accuracy=0.9,
    val_loss=0.6,
    val_accuracy=0.8,
    weight_distance=1.25,
    extras={"gradient_norm": 3.0},
)


def test_a_start_travels(tmp_path):
    state = [np.ones((2, 3), "float32"), np.array(6)]
    distance = {"0": np.zeros(4)}
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")
    start = Start(checkpoint, 2, state, distance, (RECORD,))
    back = Start.from_plain(from_arrays(to_arrays(start.to_plain())))
    assert back.checkpoint.path == checkpoint.path
    assert (back.epoch, back.records) == (2, (RECORD,))
    for ours, expected in zip(back.state, state, strict=True):
        np.testing.assert_array_equal(ours, expected, strict=True)
    np.testing.assert_array_equal(back.distance["0"], distance["0"])


def test_a_beginning_and_an_end_travel(tmp_path):
    start = Start(Checkpoint(tmp_path / "checkpoint.npz"))
    back = Start.from_plain(from_arrays(to_arrays(start.to_plain())))
    assert (back.epoch, back.state, back.distance) == (0, None, None)
    summary = {"status": "finished", "best_epoch": 2}
    result = RunResult("lr", 0, "finished", None, (RECORD,), summary)
    content = from_arrays(to_arrays(result.to_json()))
    assert RunResult.from_json(content) == result
