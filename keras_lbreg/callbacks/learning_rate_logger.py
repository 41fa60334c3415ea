"""The learning rate that was really used, in the logs."""

import keras
from keras import ops


class LearningRateLogger(keras.callbacks.Callback):
    """Puts the learning rate of every epoch into its logs.

    It is the optimizer's `learning_rate` at the first update of the epoch,
    after every callback that may have set it, read through wrapped optimizers
    and from schedules. `History`, and a `CSVLogger` or `TensorBoard` *after*
    this callback in the list, record it as `learning_rate`.

    Args:
        verbose: `1` prints a line when an epoch begins with another learning
            rate than the one before. Defaults to `0`.

    Example:

    >>> logger = keras_lbreg.LearningRateLogger(verbose=1)
    >>> history = model.fit(x, y, epochs=10, callbacks=[logger])
    Epoch 1: learning rate 0.1.
    Epoch 6: learning rate 0.1 -> 0.01.
    >>> history.history["learning_rate"]

    Reference:

    - `keras.callbacks.LearningRateScheduler`, which logs only what it sets
    """

    def __init__(self, verbose=0):
        super().__init__()
        self.verbose = verbose
        self._epoch = 0
        self._learning_rate = None

    def on_train_batch_begin(self, batch, logs=None):
        # Not in `on_epoch_begin`: a scheduler after this callback in the list
        # has not set the rate by then.
        if batch > 0:
            return
        rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if self.verbose and rate != self._learning_rate:
            text = f"{rate:.4g}"
            if self._learning_rate is not None:
                text = f"{self._learning_rate:.4g} -> {text}"
            print(f"\nEpoch {self._epoch + 1}: learning rate {text}.")
        self._learning_rate = rate

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = self._learning_rate
