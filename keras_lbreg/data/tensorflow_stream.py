"""Batches that Python makes, as TensorFlow reads them."""

# Batches that are ready before they are asked for: one is in the making while
# another waits.
AHEAD = 2


def tensorflow_stream(batches, signature):
    """A `tf.data.Dataset` of a generator's batches.

    Nothing in it is tuned while it runs: there is nothing to tune, and the end
    of every `fit` would wait for the thread that tunes, for up to a second.

    Args:
        batches: A function without arguments that returns an iterator.
        signature: Nested `tf.TensorSpec`s of one batch.

    Returns:
        A `tf.data.Dataset`.

    Example:

    >>> signature = tf.TensorSpec((3,), "float64")
    >>> tensorflow_stream(lambda: iter([np.ones(3)]), signature)

    Reference: `tf.data.experimental.AutotuneOptions`.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return (
        tf.data.Dataset.from_generator(batches, output_signature=signature)
        .prefetch(AHEAD)
        .with_options(options)
    )
