"""Normalization of each ghost batch by its own statistics."""

import keras
from keras import ops


def ghost_normalize(x, ghosts, epsilon, gamma, beta, mask=None):
    """Normalizes each ghost batch by its own mean and biased variance.

    ```
    y = gamma * (x - mu_i) / sqrt(var_i + epsilon) + beta    in ghost batch i
    ```

    Args:
        x: Tensor of shape `(B, ...)`, float32 or float64.
        ghosts: The `GhostBatches` of the batch.
        epsilon: A float.
        gamma: Tensor of shape `(C,)`, or `(q, C)` where ghosts differ in it.
        beta: Tensor of shape `(C,)` or `(q, C)`.
        mask: Optional boolean tensor, broadcastable to `x` less its last axis.
            Masked elements do not count for the statistics.

    Returns:
        Tuple `(y, means, variances)`, the latter two of shape `(q, C)`. They
        are for the moving statistics and carry no gradient.
    """
    if (
        keras.backend.backend() == "tensorflow"
        and mask is None
        and len(gamma.shape) == 1
    ):
        from keras_lbreg.layers import _fused_ghost_normalize as fused

        if fused.can_fuse(x, ghosts):
            return fused.fused_ghost_normalize(x, ghosts, epsilon, gamma, beta)
    return normalize_in_ops(x, ghosts, epsilon, gamma, beta, mask)


def normalize_in_ops(x, ghosts, epsilon, gamma, beta, mask=None):
    """`ghost_normalize` in Keras operations, with its gradient in closed form.

    With `n` elements in a ghost, `z = (x - mu) / sigma` and `dy` the gradient
    with regard to `y`,

    ```
    dx = gamma / sigma * (dy - sum(dy) / n - z * sum(dy * z) / n)
    dgamma = sum(dy * z),  dbeta = sum(dy)
    ```

    which takes fewer passes over the large tensors than what automatic
    differentiation finds. The gradient can itself be differentiated.
    """

    def moments(x, *weights):
        """Mean, variance, `x - mean` and the number of elements."""
        if weights:
            count = ghosts.sum(weights[0]) + keras.config.epsilon()
        else:
            count = ghosts.expand(ops.maximum(ghosts.elements(x.dtype), 1))
        mean = ghosts.sum(_counted(x, *weights)) / count
        centred = x - ghosts.spread(mean)
        squares = ghosts.sum(ops.square(_counted(centred, *weights)))
        return mean, squares / count, centred, count

    @ops.custom_gradient
    def normalize(x, gamma, beta, *weights):
        mean, variance, centred, _ = moments(x, *weights)
        scale = gamma * ops.rsqrt(variance + epsilon)
        y = centred * ghosts.spread(scale) + ghosts.spread(beta)

        def gradient(*upstream):
            dy = keras.tree.flatten(upstream)[0]
            # Taken from `x` once more, so that the dependence on it is there
            # for a second differentiation. A compiler sees the repetition.
            _, variance, centred, count = moments(x, *weights)
            inverse = ops.rsqrt(variance + epsilon)
            dbeta = ghosts.sum(dy)
            dgamma = ghosts.sum(dy * centred) * inverse
            scale = gamma * inverse
            through_statistics = _counted(
                centred * ghosts.spread(scale * inverse * dgamma / count)
                + ghosts.spread(scale * dbeta / count),
                *weights,
            )
            dx = dy * ghosts.spread(scale) - through_statistics
            return dx, dgamma, dbeta, *map(ops.zeros_like, weights)

        return (y, mean, variance), gradient

    weights = ()
    if mask is not None:
        mask = ops.broadcast_to(ops.expand_dims(mask, -1), ops.shape(x))
        weights = (ghosts.split(ops.cast(ops.cast(mask, "bool"), x.dtype)),)
    y, mean, variance = normalize(
        ghosts.split(x), ghosts.expand(gamma), ghosts.expand(beta), *weights
    )
    return ghosts.join(y), ghosts.rows(mean), ghosts.rows(variance)


def _counted(x, *weights):
    """`x` where the mask lets it count, else 0, also for NaN."""
    return ops.where(weights[0] > 0, x, 0) if weights else x
