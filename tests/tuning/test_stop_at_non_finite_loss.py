import keras
import numpy as np
import pytest

from keras_lbreg.tuning.stop_at_non_finite_loss import StopAtNonFiniteLoss


class PoisonFrom(keras.callbacks.Callback):
    def __init__(self, epoch, value):
        super().__init__()
        self.epoch = epoch
        self.value = value

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            weights = [
                np.full_like(w, self.value) for w in self.model.get_weights()
            ]
            self.model.set_weights(weights)


@pytest.mark.parametrize(
    ("epoch", "value", "reason"),
    [
        (1, np.nan, "the loss became nan in epoch 2"),
        (0, np.inf, "the loss became inf in epoch 1"),
        (9, np.nan, None),
    ],
)
def test_training_ends(epoch, value, reason):
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1, use_bias=False)]
    )
    model.compile("sgd", "mse", run_eagerly=True)
    watch = StopAtNonFiniteLoss()
    history = model.fit(
        np.ones((2, 2)),
        np.ones((2, 1)),
        epochs=4,
        verbose=0,
        callbacks=[PoisonFrom(epoch, value), watch],
    )
    assert watch.reason == reason
    assert len(history.epoch) == (epoch + 1 if reason else 4)
