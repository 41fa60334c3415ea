"""Normalization of each ghost batch by its own statistics."""

import keras
from keras import ops

from keras_lbreg.layers.ghost_moments import ghost_moments, per_sample


def ghost_normalize(x, ghosts, axis, epsilon, gamma=None, beta=None, mask=None):
    """Normalizes each ghost batch by its own mean and biased variance.

    ```
    y = gamma (x - mu_i) / sqrt(var_i + epsilon) + beta    in ghost batch i
    ```

    Args:
        x: Tensor of shape `(B, ...)`, float32 or float64.
        ghosts: The `GhostBatches` of the batch.
        axis: The features axis, positive and not 0.
        epsilon: A float.
        gamma: Optional tensor of shape `(C,)`.
        beta: Optional tensor of shape `(C,)`.
        mask: Optional boolean tensor of one axis less than `x`. Masked
            elements do not count for the statistics.

    Returns:
        Tuple `(y, means, variances)`, the latter two of shape `(q, C)` and
        meant for the moving statistics: they need not carry a gradient.
    """
    if keras.backend.backend() == "tensorflow" and mask is None:
        from keras_lbreg.layers import _fused_ghost_normalize as fused

        if fused.can_fuse(x, axis):
            channels = (x.shape[axis],)
            return fused.fused_ghost_normalize(
                x,
                ghosts,
                ops.ones(channels) if gamma is None else gamma,
                ops.zeros(channels) if beta is None else beta,
                epsilon,
                lambda x, gamma, beta: _by_moments(
                    x, ghosts, 3, epsilon, gamma, beta
                )[0],
            )
    return _by_moments(x, ghosts, axis, epsilon, gamma, beta, mask)


def _by_moments(x, ghosts, axis, epsilon, gamma, beta, mask=None):
    means, variances, centred = ghost_moments(x, ghosts, axis, mask)
    y = scale_and_shift(centred, variances, ghosts, axis, epsilon, gamma, beta)
    return y, means, variances


def scale_and_shift(centred, variances, ghosts, axis, epsilon, gamma, beta):
    """`gamma centred / sqrt(var_i + epsilon) + beta`.

    `gamma` and `beta` are of shape `(C,)`, or `(q, C)` where every ghost has
    its own, or `None`.
    """
    rank = len(centred.shape)
    scale = ops.rsqrt(variances + epsilon)
    if gamma is not None:
        scale = scale * gamma
    y = centred * per_sample(scale, ghosts, axis, rank)
    if beta is None:
        return y
    if len(beta.shape) == 2:
        return y + per_sample(beta, ghosts, axis, rank)
    return y + ops.reshape(beta, (-1,) + (1,) * (rank - 1 - axis))
