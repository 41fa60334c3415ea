"""Batches that Python makes, as TensorFlow reads them."""

# Batches that are ready before they are asked for: one is in the making while
# another waits.
AHEAD = 2


def tensorflow_stream(batches, signature):
    """A `tf.data.Dataset` of the batches of the iterator `batches()`."""
    import tensorflow as tf

    # There is nothing to tune, and the end of every `fit` would wait for the
    # thread that tunes, for up to a second.
    options = tf.data.Options()
    options.autotune.enabled = False
    return (
        tf.data.Dataset.from_generator(batches, output_signature=signature)
        .prefetch(AHEAD)
        .with_options(options)
    )
