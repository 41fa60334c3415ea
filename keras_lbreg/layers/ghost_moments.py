"""Mean and variance of each ghost batch, in Keras ops."""

import keras
from keras import ops


def ghost_moments(x, ghosts, axis, mask=None):
    """Mean and biased variance of each ghost batch, and the centred input.

    ```
    mu_i  = mean of the ghost's samples (and of all axes but `axis`)
    var_i = mean of (x - mu_i)^2 over the same
    ```

    The spatial axes are reduced for every sample by itself, and only the small
    `(B, C)` result is cut into ghosts. So the large input is read as often as
    for one plain mean and variance, however many ghosts there are and whether
    or not the batch divides evenly.

    Args:
        x: Tensor of shape `(B, ...)`, float32 or float64.
        ghosts: The `GhostBatches` of the batch.
        axis: The features axis, positive and not 0.
        mask: Optional boolean tensor, broadcastable to `x` once a last axis is
            added. Masked elements do not count.

    Returns:
        Tuple `(means, variances, centred)`: two tensors of shape `(q, C)`, and
        `x - mu_i`.
    """
    others = [a for a in range(1, len(x.shape)) if a != axis]
    if mask is None:
        shape = ops.shape(x)
        elements = 1
        for a in others:
            elements = elements * shape[a]
        counts = ghosts.sizes(x.dtype) * ops.cast(elements, x.dtype)
        counts = ops.maximum(counts, 1)
        total = ops.sum(x, axis=others)
    else:
        mask = ops.cast(ops.expand_dims(mask, -1), "bool")
        mask = ops.broadcast_to(mask, ops.shape(x))
        counts = ghosts.sum(ops.sum(ops.cast(mask, x.dtype), axis=others))
        counts = counts + keras.config.epsilon()
        total = ops.sum(ops.where(mask, x, 0), axis=others)
    means = ghosts.sum(total) / counts
    centred = x - per_sample(means, ghosts, axis, len(x.shape))
    counted = centred if mask is None else ops.where(mask, centred, 0)
    squares = ops.sum(ops.square(counted), axis=others)
    return means, ghosts.sum(squares) / counts, centred


def per_sample(values, ghosts, axis, rank):
    """`(q, C)` values of the ghosts, shaped to broadcast with the input."""
    values = ghosts.spread(values)
    for a in range(1, rank):
        if a != axis:
            values = ops.expand_dims(values, a)
    return values
