"""Contract with the private parts of Keras's trainer, on Keras 3.15."""

import keras
import numpy as np
import pytest

from keras_lbreg.models._keras_trainer import (
    additional_loss,
    data_loss,
    set_initial_epoch,
    split_batch,
    unscaled_loss,
)


def compiled(**kwargs):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(1)),
        ]
    )
    model.compile("sgd", **kwargs)
    return model


def test_the_parts_make_up_compute_loss():
    model = compiled(loss="mse")
    x, y = np.ones((4, 3)), np.zeros((4, 2))
    weight = np.array([1.0, 2.0, 0.0, 1.0], "float32")
    y_pred = model(x)
    parts = [
        data_loss(model, y, y_pred, weight),
        *(additional_loss(model, loss) for loss in model.losses),
    ]
    assert len(parts) == 2
    whole = model.compute_loss(x, y, y_pred, weight)
    np.testing.assert_allclose(sum(float(p) for p in parts), whole, rtol=1e-6)
    assert float(parts[0]) > 0
    assert float(parts[1]) > 0
    # On one replica nothing is scaled.
    assert float(unscaled_loss(parts[0])) == float(parts[0])


def test_no_loss_is_none():
    assert (
        data_loss(compiled(), np.zeros((1, 2)), np.zeros((1, 2)), None) is None
    )


def test_split_batch_splits_the_mask_too():
    masked = keras.layers.Masking()(np.array([[[1.0]], [[0.0]]], "float32"))
    right, left = split_batch(masked)
    loss = keras.losses.MeanSquaredError()
    # The left half is masked out: its error does not count.
    assert float(loss(np.zeros((1, 1, 1)), right)) == pytest.approx(1.0)
    assert float(loss(np.full((1, 1, 1), 9.0), left)) == pytest.approx(0.0)


def test_fit_begins_with_the_epoch_that_a_callback_sets():
    model = compiled(loss="mse")
    seen = []

    class Begin(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            set_initial_epoch(self.model, 3)

        def on_epoch_begin(self, epoch, logs=None):
            seen.append(epoch)

        def on_train_end(self, logs=None):
            set_initial_epoch(self.model, None)

    x, y = np.ones((4, 3)), np.zeros((4, 2))
    model.fit(x, y, epochs=5, verbose=0, callbacks=[Begin()])
    assert seen == [3, 4]
    assert len(model.fit(x, y, epochs=2, verbose=0).epoch) == 2
