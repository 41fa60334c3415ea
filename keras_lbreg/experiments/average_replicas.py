"""The callback that gives all replicas the same moving statistics."""

import keras


class AverageReplicas(keras.callbacks.Callback):
    """Averages what replicas have each by themselves, before validation.

    Under `tf.distribute`, Keras 3 leaves the moving statistics of batch
    normalization to each replica: `evaluate` then measures as many different
    models as there are replicas, and `save` keeps the first. This callback
    sets every non-trainable float variable, on all replicas of all workers, to

    ```
    v <- (1/K) sum_k v_k
    ```

    Stands before callbacks that evaluate. Training does not read these
    variables, and goes the same way with and without it.

    Example:

    >>> model.fit(x, y, validation_data=data, callbacks=[AverageReplicas()])

    Reference: Keras 2 did this itself, whenever the variables were read.
    """

    def __init__(self):
        super().__init__()
        self._average = None

    def on_test_begin(self, logs=None):
        import tensorflow as tf

        if self._average is None:
            self._average = tf.function(self._average_now, autograph=False)
        self._average()

    def _average_now(self):
        import tensorflow as tf

        strategy = self.model.distribute_strategy
        for variable in self.model.non_trainable_variables:
            if not keras.backend.is_float_dtype(variable.dtype):
                continue
            values = strategy.run(tf.identity, args=(variable.value,))
            variable.assign(
                strategy.reduce(tf.distribute.ReduceOp.MEAN, values, axis=None)
            )
