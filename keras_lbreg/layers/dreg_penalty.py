"""The term that drives the two kernels of a DReg layer apart."""

import keras
from keras import ops

DISTANCES = ("bounded", "frobenius")


def kernel_distance(right, left):
    """‖W_R − W_L‖_F, in float32 at least."""
    right, left = _precise(right, left)
    return ops.sqrt(_squared_norm(right - left))


def squared_size(right, left):
    """‖W_R‖²_F + ‖W_L‖²_F, in float32 at least."""
    right, left = _precise(right, left)
    return _squared_norm(right) + _squared_norm(left)


def dreg_penalty(
    right, left, weight, distance, initial_size=None, max_distance=None
):
    """The distance term of a DReg loss, −λ d(W_R, W_L), see `DRegConv2D`."""
    right, left = _precise(right, left)
    squared = _squared_norm(right - left)
    value = squared
    if distance == "bounded":
        # While the sum of squares is n₀, value and gradient are those of the
        # published distance, but for a part of relative size ‖W_R − W_L‖ / √n₀.
        # The gradient is orthogonal to (W_R, W_L): the quotient does not depend
        # on the scale of the pair.
        size = _squared_norm(right) + _squared_norm(left)
        # Two kernels of zeros are at distance 0, not 0/0.
        value = ops.cast(initial_size, size.dtype) * (
            squared / ops.maximum(size, 1e-30)
        )
    if max_distance is not None:
        value = ops.where(
            squared <= max_distance**2, value, ops.stop_gradient(value)
        )
    return -weight * value


def _precise(*kernels):
    """Kernels in their dtype, in float32 where that is less."""
    dtype = keras.backend.result_type(kernels[0].dtype, "float32")
    return [ops.cast(kernel, dtype) for kernel in kernels]


def _squared_norm(x):
    return ops.sum(ops.square(x))
