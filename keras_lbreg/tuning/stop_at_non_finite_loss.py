"""The end of a training that has diverged."""

import math

import keras


class StopAtNonFiniteLoss(keras.callbacks.Callback):
    """Stops training after the first epoch whose loss is NaN or infinite.

    An epoch's loss is the mean over its batches, and NaN if one of them is.

    Args: none.

    Example:

    >>> watch = StopAtNonFiniteLoss()
    >>> model.fit(x, y, callbacks=[watch])
    >>> watch.reason
    'the loss became nan in epoch 3'

    Reference: `keras.callbacks.TerminateOnNaN` looks at every batch, which
    makes the device wait for Python.
    """

    def __init__(self):
        super().__init__()
        self.reason = None

    def on_epoch_end(self, epoch, logs=None):
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            self.reason = f"the loss became {loss} in epoch {epoch + 1}"
            self.model.stop_training = True
