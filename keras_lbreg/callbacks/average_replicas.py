"""One set of moving statistics for all replicas."""

import keras

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


class AverageReplicas(keras.callbacks.Callback):
    """Averages what replicas have each by themselves, before validation.

    Under `tf.distribute`, Keras 3 leaves the moving statistics of batch
    normalization to each replica: `evaluate` then measures as many different
    models as there are replicas, and `save` keeps that of the first. This
    callback sets every non-trainable float variable, on all K replicas of all
    workers, to

    ```
    v <- (1/K) sum_k v_k
    ```

    when a validation begins and when an epoch ends. Put it before callbacks
    that evaluate or save. Training does not read moving statistics, and goes
    the same way with it and without. On one replica, and on other backends than
    TensorFlow, it does nothing.

    Args: none.

    Example:

    >>> callbacks = [keras_lbreg.AverageReplicas(), checkpoint]
    >>> model.fit(x, y, validation_data=data, callbacks=callbacks)

    Reference: Keras 2 did this itself, whenever the variables were read.
    """

    def __init__(self):
        super().__init__()
        self._average = None
        self._trained = True

    def on_train_batch_end(self, batch, logs=None):
        self._trained = True

    def on_test_begin(self, logs=None):
        self._average_if_trained()

    def on_epoch_end(self, epoch, logs=None):
        self._average_if_trained()

    def _average_if_trained(self):
        strategy = getattr(self.model, "distribute_strategy", None)
        replicas = getattr(strategy, "num_replicas_in_sync", 1)
        if not self._trained or replicas == 1:
            return
        if self._average is None:
            self._average = tf.function(self._average_now, autograph=False)
        self._average()
        self._trained = False

    def _average_now(self):
        strategy = self.model.distribute_strategy
        for variable in self.model.non_trainable_variables:
            if not keras.backend.is_float_dtype(variable.dtype):
                continue
            # So that what is equal on all replicas keeps every bit.
            values = strategy.run(
                lambda value: tf.cast(value, "float64"), args=(variable.value,)
            )
            mean = strategy.reduce("MEAN", values, axis=None)
            variable.assign(tf.cast(mean, variable.dtype))
