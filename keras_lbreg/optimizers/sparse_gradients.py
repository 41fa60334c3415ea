"""Arithmetic on gradients that may be `tf.IndexedSlices`."""

import keras
from keras import ops

tf = None  # Other backends have no sparse gradients.
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


def scale(gradient, factor):
    """A gradient times a scalar, sparse if the gradient is."""
    if _is_sparse(gradient):
        return type(gradient)(
            scale(gradient.values, factor),
            gradient.indices,
            gradient.dense_shape,
        )
    return gradient * ops.cast(factor, gradient.dtype)


def densify(gradient, shape):
    """A dense gradient of static `shape`; slices of one row are summed."""
    if not _is_sparse(gradient):
        return gradient
    indices = tf.cast(gradient.indices, "int64")[:, None]
    return tf.scatter_nd(
        indices, gradient.values, tf.constant(tuple(shape), "int64")
    )


def all_finite(gradients):
    """Whether all elements of all gradients are finite, a boolean scalar."""
    dense = [g.values if _is_sparse(g) else g for g in gradients]
    return ops.all(ops.stack([ops.all(ops.isfinite(g)) for g in dense]))


def _is_sparse(gradient):
    return tf is not None and isinstance(gradient, tf.IndexedSlices)
