"""Arithmetic on gradients that may be `tf.IndexedSlices`."""

import keras


def scale(gradient, factor):
    """Multiplies a gradient, sparse or dense, with a scalar.

    Args:
        gradient: Tensor or `tf.IndexedSlices`.
        factor: Scalar tensor.

    Returns:
        The product, sparse if `gradient` is.
    """
    if _is_sparse(gradient):
        return type(gradient)(
            scale(gradient.values, factor),
            gradient.indices,
            gradient.dense_shape,
        )
    return gradient * keras.ops.cast(factor, gradient.dtype)


def densify(gradient, shape):
    """Returns a dense gradient; slices of one row are summed.

    Args:
        gradient: Tensor or `tf.IndexedSlices`.
        shape: Static shape of the dense gradient.

    Returns:
        Tensor.
    """
    if not _is_sparse(gradient):
        return gradient
    import tensorflow as tf

    indices = tf.cast(gradient.indices, "int64")[:, None]
    return tf.scatter_nd(
        indices, gradient.values, tf.constant(tuple(shape), "int64")
    )


def all_finite(gradients):
    """Whether all elements of all gradients are finite.

    Args:
        gradients: List of tensors or `tf.IndexedSlices`.

    Returns:
        Boolean scalar tensor.
    """
    ops = keras.ops
    dense = [g.values if _is_sparse(g) else g for g in gradients]
    return ops.all(ops.stack([ops.all(ops.isfinite(g)) for g in dense]))


def _is_sparse(gradient):
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return isinstance(gradient, tf.IndexedSlices)
