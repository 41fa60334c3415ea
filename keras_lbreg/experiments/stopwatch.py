"""The callback that measures training time."""

import time

import keras


class Stopwatch(keras.callbacks.Callback):
    """Adds up the seconds of training, without validation and recording.

    Stands first among the callbacks, so that what others do at the end of an
    epoch is not counted.

    Args:
        seconds: Seconds of earlier sessions.

    Example:

    >>> stopwatch = Stopwatch()
    >>> model.fit(x, y, validation_data=(x_val, y_val), callbacks=[stopwatch])
    >>> stopwatch.seconds

    Reference: `time.perf_counter`.
    """

    def __init__(self, seconds=0.0):
        super().__init__()
        self.seconds = seconds
        self._started = None

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.perf_counter()

    def on_test_begin(self, logs=None):
        if self._started is None:
            # Another callback evaluates.
            return
        # JAX hands out results before they are there: reading one waits.
        keras.ops.convert_to_numpy(self.model.optimizer.iterations)
        self.seconds += time.perf_counter() - self._started
        self._started = None
