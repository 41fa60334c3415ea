"""Batch renormalization (Ioffe 2017) with ghost batches."""

from keras import ops


def renorm_correction(means, variances, layer):
    """The correction `(r, d)` of each ghost batch towards running statistics.

    ```
    r_i = clip(sigma_i / sigma_renorm, rmin, rmax)
    d_i = clip((mu_i - mu_renorm) / sigma_renorm, -dmax, dmax)
    ```

    All ghosts of a batch are corrected towards the running statistics as they
    were before the step.

    Args:
        means: Tensor of shape `(q, C)`.
        variances: Tensor of shape `(q, C)`.
        layer: The layer with `renorm_mean`, `renorm_stddev`,
            `renorm_clipping` and `epsilon`.

    Returns:
        Tuple `(r, d)` of tensors of shape `(q, C)`, without gradient.
    """
    running_mean = ops.cast(layer.renorm_mean, means.dtype)
    running_stddev = ops.maximum(
        ops.cast(layer.renorm_stddev, means.dtype),
        layer.epsilon**0.5,
    )
    r = ops.sqrt(variances + layer.epsilon) / running_stddev
    d = (means - running_mean) / running_stddev
    clipping = layer.renorm_clipping
    if clipping.get("rmin") is not None:
        r = ops.maximum(r, clipping["rmin"])
    if clipping.get("rmax") is not None:
        r = ops.minimum(r, clipping["rmax"])
    if clipping.get("dmax") is not None:
        d = ops.clip(d, -clipping["dmax"], clipping["dmax"])
    return ops.stop_gradient(r), ops.stop_gradient(d)
