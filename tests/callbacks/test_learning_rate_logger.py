"""The learning rate in the logs is the one the epoch was trained with."""

import csv

import keras
import numpy as np
import pytest

import keras_lbreg


def fit(optimizer, callbacks, epochs=4, **compile_options):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", **compile_options)
    x = np.ones((8, 1), "float32")
    return model.fit(
        x, x, batch_size=2, epochs=epochs, verbose=0, callbacks=callbacks
    ).history


def test_a_schedule_is_logged_at_the_first_update_of_the_epoch():
    # Drops exactly between epochs 1 and 2, of 4 updates each. Keras's own
    # reading at the end of epoch 1 would already be 0.01.
    regime = keras_lbreg.Regime(2, 0.1, 4, {2: 0.01})
    history = fit(
        keras.optimizers.SGD(regime.to_schedule(4)),
        [keras_lbreg.LearningRateLogger()],
    )
    np.testing.assert_allclose(
        history["learning_rate"], [0.1, 0.1, 0.01, 0.01], rtol=1e-6
    )


@pytest.mark.parametrize("steps_per_execution", [1, 4])
def test_a_callback_that_sets_the_rate_may_stand_after_it(steps_per_execution):
    history = fit(
        keras.optimizers.SGD(0.5),
        [
            keras_lbreg.LearningRateLogger(),
            keras.callbacks.LearningRateScheduler(lambda e, lr: 0.1 / (e + 1)),
        ],
        steps_per_execution=steps_per_execution,
    )
    np.testing.assert_allclose(
        history["learning_rate"], [0.1, 0.05, 0.1 / 3, 0.025], rtol=1e-6
    )


def test_reads_through_wrappers():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5)
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(schedule), initial_scale=2.0
    )
    history = fit(optimizer, [keras_lbreg.LearningRateLogger()], epochs=3)
    np.testing.assert_allclose(
        history["learning_rate"], [0.1, 0.05, 0.025], rtol=1e-5
    )


def test_a_csv_logger_after_it_records_the_rate(tmp_path):
    path = tmp_path / "log.csv"
    fit(
        keras.optimizers.SGD(0.25),
        [keras_lbreg.LearningRateLogger(), keras.callbacks.CSVLogger(path)],
        epochs=2,
    )
    with open(path) as file:
        rows = list(csv.DictReader(file))
    assert [float(row["learning_rate"]) for row in rows] == [0.25, 0.25]


def test_verbose_prints_changes_only(capsys):
    regime = keras_lbreg.Regime(2, 0.1, 4, {2: 0.01})
    fit(
        keras.optimizers.SGD(regime.to_schedule(4)),
        [keras_lbreg.LearningRateLogger(verbose=1)],
    )
    lines = [x for x in capsys.readouterr().out.splitlines() if x]
    assert lines == [
        "Epoch 1: learning rate 0.1.",
        "Epoch 3: learning rate 0.1 -> 0.01.",
    ]


def test_is_silent_by_default(capsys):
    fit(keras.optimizers.SGD(0.1), [keras_lbreg.LearningRateLogger()])
    assert capsys.readouterr().out == ""
