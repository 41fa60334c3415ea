"""The term that drives the two kernels of a DReg layer apart."""

from keras import ops

DISTANCES = ("relative", "frobenius")


def kernel_distance(right, left):
    """‖W_R − W_L‖_F of two kernels, in float32.

    Args:
        right: Kernel of the right path.
        left: Kernel of the left path, of the same shape.

    Returns:
        A float32 scalar.
    """
    return ops.sqrt(_squared_norm(_float32(right) - _float32(left)))


def dreg_penalty(right, left, weight, distance="relative", max_distance=None):
    """The distance term of a DReg loss, −λ d(W_R, W_L).

    - `"frobenius"`, as published: d = ‖W_R − W_L‖²_F, without an upper bound.
    - `"relative"`: d = ‖W_R − W_L‖²_F / (‖W_R‖²_F + ‖W_L‖²_F), which lies in
      [0, 2]. Its gradient is orthogonal to (W_R, W_L), so that no step along
      it can make kernels grow by a constant factor.

    Beyond `max_distance` the term keeps its value and has no gradient.

    Args:
        right: Kernel of the right path.
        left: Kernel of the left path, of the same shape.
        weight: λ, a non-negative number.
        distance: `"relative"` or `"frobenius"`.
        max_distance: Optional largest ‖W_R − W_L‖_F with a gradient.

    Returns:
        A float32 scalar, to be added to the loss.
    """
    right, left = _float32(right), _float32(left)
    squared = _squared_norm(right - left)
    value = squared
    if distance == "relative":
        # Two kernels of zeros are at distance 0, not 0/0.
        value = squared / ops.maximum(
            _squared_norm(right) + _squared_norm(left), 1e-30
        )
    if max_distance is not None:
        value = ops.where(
            squared <= max_distance**2, value, ops.stop_gradient(value)
        )
    return -weight * value


def _float32(kernel):
    return ops.cast(kernel, "float32")


def _squared_norm(x):
    return ops.sum(ops.square(x))
