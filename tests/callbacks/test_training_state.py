import keras
import numpy as np
import pytest

from keras_lbreg.callbacks.multi_worker_backup import (
    set_training_state,
    training_state,
)
from keras_lbreg.optimizers import GradientNoise


def make_model(units=3):
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dropout(0.5, seed=1),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(units),
        ]
    )
    model.compile(GradientNoise(keras.optimizers.Adam(0.1), 0.1, seed=5), "mse")
    return model


def fit(model):
    x = np.random.default_rng(0).normal(size=(8, 2))
    model.fit(x, np.ones((8, 3)), batch_size=4, shuffle=False, verbose=0)


def test_a_model_goes_on_as_another_would_have():
    model = make_model()
    fit(model)
    state = training_state(model)
    fit(model)

    again = make_model()
    set_training_state(again, state)
    fit(again)
    for a, b in zip(training_state(again), training_state(model), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def test_the_state_is_a_copy():
    model = make_model()
    before = training_state(model)
    kept = [value.copy() for value in before]
    fit(model)
    for a, b in zip(before, kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_state_of_another_model_is_refused():
    model = make_model(3)
    kept = training_state(model)
    with pytest.raises(ValueError, match="does not fit the model"):
        set_training_state(model, training_state(make_model(4)))
    for a, b in zip(training_state(model), kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_bfloat16_goes_through_a_file(tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    model, again = make_model(), make_model()
    fit(model)
    np.savez(tmp_path / "state.npz", *training_state(model))
    with np.load(tmp_path / "state.npz") as content:
        set_training_state(again, [content[name] for name in content.files])
    assert model.layers[-1].kernel.dtype == "bfloat16"
    for a, b in zip(training_state(again), training_state(model), strict=True):
        np.testing.assert_array_equal(a, b)
