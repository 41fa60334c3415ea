"""Linear warm-up, step by step."""

import json

import keras
import numpy as np
import pytest

import keras_lbreg


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_rises_linearly_and_never_starts_at_zero():
    schedule = keras_lbreg.WarmUp(0.4, steps=4)
    np.testing.assert_allclose(
        rates(schedule, range(6)), [0.1, 0.2, 0.3, 0.4, 0.4, 0.4], rtol=1e-6
    )


def test_starts_from_the_small_batchs_rate_as_goyal():
    # 0.1 per 256, batch 2048: from 0.1 to 0.8 over 70 updates.
    schedule = keras_lbreg.WarmUp(0.8, steps=70, start=1 / 8)
    first, second, last = rates(schedule, [0, 1, 69])
    np.testing.assert_allclose(first, 0.1 + 0.7 / 70, rtol=1e-6)
    np.testing.assert_allclose(second - first, 0.7 / 70, rtol=1e-5)
    assert last == np.float32(0.8)


def test_one_step_is_no_warm_up():
    assert rates(keras_lbreg.WarmUp(0.3, 1), [0, 1]) == [np.float32(0.3)] * 2


@pytest.mark.parametrize("start", [0.0, 0.1, 1 / 3, 0.7])
def test_lies_over_a_schedule_and_leaves_it_alone_afterwards(start):
    inner = keras.optimizers.schedules.CosineDecay(0.5, 100)
    schedule = keras_lbreg.WarmUp(inner, steps=10, start=start)
    for step in range(9):
        factor = start + (1 - start) * (step + 1) / 10
        np.testing.assert_allclose(
            float(schedule(step)), factor * float(inner(step)), rtol=1e-6
        )
    # Not delayed, and equal to the last bit.
    later = [9, 10, 50, 99, 1000]
    assert rates(schedule, later) == rates(inner, later)


def test_optimizer_uses_it_update_by_update():
    variable = keras.Variable(np.zeros((), "float32"))
    optimizer = keras.optimizers.SGD(keras_lbreg.WarmUp(1.0, steps=4))
    seen = []
    for _ in range(5):
        before = float(variable.numpy())
        optimizer.apply([np.float32(1.0)], [variable])
        seen.append(before - float(variable.numpy()))
    np.testing.assert_allclose(seen, [0.25, 0.5, 0.75, 1, 1], rtol=1e-6)


@pytest.mark.parametrize(
    "inner",
    [0.2, 1, keras.optimizers.schedules.ExponentialDecay(0.2, 10, 0.9)],
    ids=["float", "int", "schedule"],
)
def test_survives_json(inner):
    schedule = keras_lbreg.WarmUp(inner, steps=5, start=0.25)
    saved = json.dumps(keras.saving.serialize_keras_object(schedule))
    loaded = keras.saving.deserialize_keras_object(json.loads(saved))
    assert loaded.get_config() == schedule.get_config()
    assert rates(loaded, range(8)) == rates(schedule, range(8))


def test_saved_model_continues_the_warm_up(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(keras_lbreg.WarmUp(1e-3, 8)), "mse")
    x = np.ones((8, 1), "float32")
    model.fit(x, x, batch_size=2, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        float(loaded.optimizer.learning_rate), 1e-3 * 5 / 8, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schedule", 0.0),
        ("schedule", "fast"),
        ("steps", 0),
        ("steps", 1.5),
        ("start", 1.0),
        ("start", -0.1),
        ("start", None),
    ],
)
def test_invalid_arguments_are_named(name, value):
    arguments = {"schedule": 0.1, "steps": 10, name: value}
    with pytest.raises(ValueError, match=f"argument `{name}`.*Expected"):
        keras_lbreg.WarmUp(**arguments)
