"""A `tf.data.Dataset` with mixed sample weights."""

from keras_lbreg.data.mixed_batches import weigh, weights_of_samples


def mixed_tf_dataset(dataset, group_weights, initial_step):
    """Maps the batches of a `tf.data.Dataset` to weighted ones.

    The weights are computed by NumPy, so that they do not depend on the Keras
    backend; it takes a fraction of a millisecond for a batch.

    Args:
        dataset: `tf.data.Dataset` of `(x, y)` or `(x, y, sample_weight)`.
        group_weights: Function from a step to an array of shape `(groups,)`.
        initial_step: Integer, the step of the first batch.

    Returns:
        `tf.data.Dataset` of `(x, y, sample_weight)`.

    Example:

    >>> mixed = mixed_tf_dataset(dataset, lambda step: np.ones(4), 0)

    Reference: see `mix_sample_weights`.
    """
    import tensorflow as tf

    steps = _Steps(initial_step, int(dataset.cardinality()))

    def weights_of_batch(index, batch_size):
        weights = group_weights(steps.at(int(index)))
        return weights_of_samples(weights, batch_size).astype("float32")

    def map_batch(index, batch):
        def weigh_samples(y):
            weights = tf.numpy_function(
                weights_of_batch, [index, tf.shape(y)[0]], tf.float32
            )
            return tf.ensure_shape(weights, y.shape[:1])

        return weigh(batch, weigh_samples)

    return dataset.enumerate().map(map_batch)


class _Steps:
    """Counts the batches of one pass after another over a dataset."""

    def __init__(self, initial_step, cardinality):
        self._cardinality = cardinality
        self._begin = initial_step
        self._next = initial_step

    def at(self, index):
        import tensorflow as tf

        if index == 0:
            self._begin = self._next
        step = self._begin + index
        unknown = self._cardinality == tf.data.UNKNOWN_CARDINALITY
        if unknown or index == self._cardinality - 1:
            self._next = step + 1
        return step
