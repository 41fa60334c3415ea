"""How moving statistics take in the statistics of several ghost batches."""

from keras import ops

STATISTICS = ("sequential", "mean")


def update_moving_statistics(moving, per_ghost, momentum, statistics):
    """The moving statistic after one step with `q` ghost batches.

    ```
    "sequential":  m^q moving + (1 - m) sum_i m^(q - i) per_ghost_i
    "mean":        m moving + (1 - m) (1 / q) sum_i per_ghost_i
    ```

    The first is what one plain update after another gives, ghost by ghost.

    Args:
        moving: Tensor of shape `(C,)`.
        per_ghost: Tensor of shape `(q, C)`.
        momentum: `m`, a float.
        statistics: `"sequential"` or `"mean"`.

    Returns:
        Tensor of shape `(C,)`.
    """
    if statistics == "mean":
        mean = ops.mean(per_ghost, axis=0)
        return moving * momentum + mean * (1.0 - momentum)
    count = ops.shape(per_ghost)[0]
    momentum = ops.cast(momentum, per_ghost.dtype)
    age = ops.cast(count - 1 - ops.arange(count), per_ghost.dtype)
    weights = (1.0 - momentum) * ops.power(momentum, age)
    kept = ops.power(momentum, ops.cast(count, per_ghost.dtype))
    return kept * moving + ops.sum(
        ops.expand_dims(weights, 1) * per_ghost, axis=0
    )
