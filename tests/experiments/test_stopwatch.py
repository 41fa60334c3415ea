import time

import keras
import numpy as np

from keras_lbreg.experiments.stopwatch import Stopwatch


class Slow(keras.callbacks.Callback):
    """Sleeps while training, validating and at the end of an epoch."""

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.2)

    def on_test_batch_end(self, batch, logs=None):
        time.sleep(0.7)

    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.7)


def test_only_training_is_counted():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((4, 2)), np.zeros((4, 1))
    model.fit(x, y, validation_data=(x, y), verbose=0)
    stopwatch = Stopwatch(seconds=100.0)
    start = time.perf_counter()
    model.fit(
        x,
        y,
        epochs=2,
        validation_data=(x, y),
        callbacks=[stopwatch, Slow()],
        verbose=0,
    )
    total = time.perf_counter() - start
    seconds = stopwatch.seconds - 100
    assert 0.4 <= seconds < total - 4 * 0.7 + 0.01
