"""The gradient of ghost normalization, in closed form."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_lbreg.layers.ghost_batches import GhostBatches
from keras_lbreg.layers.ghost_normalize import ghost_normalize
from tests.checks.tensor_gradients import gradients

EPSILON = 1e-3
GAMMA = np.array([0.5, 1.0, -2.0], "float32")
BETA = np.array([0.1, 0.0, 3.0], "float32")


def plain(x, ghost_batch_size, gamma, beta, axis, mask=None):
    """What the layer is defined to compute, ghost by ghost."""
    count = max(1, x.shape[0] // ghost_batch_size)
    axes = [a for a in range(len(x.shape)) if a != axis]
    shape = [1] * len(x.shape)
    shape[axis] = -1
    parts = []
    for i in range(count):
        start = i * ghost_batch_size
        stop = x.shape[0] if i == count - 1 else start + ghost_batch_size
        ghost = x[start:stop]
        if mask is None:
            weights = ops.ones_like(ghost)
        else:
            weights = ops.cast(ops.expand_dims(mask[start:stop], -1), x.dtype)
            weights = ops.broadcast_to(weights, ghost.shape)
        n = ops.sum(weights, axes, keepdims=True)
        mean = ops.sum(weights * ghost, axes, keepdims=True) / n
        square = ops.square(ghost - mean)
        variance = ops.sum(weights * square, axes, keepdims=True) / n
        parts.append((ghost - mean) / ops.sqrt(variance + EPSILON))
    return ops.concatenate(parts) * ops.reshape(gamma, shape) + ops.reshape(
        beta, shape
    )


def make_inputs(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, size=shape).astype("float32")
    upstream = rng.normal(size=shape).astype("float32")
    mask = rng.uniform(size=shape[:-1]) < 0.7
    mask[0], mask[-1] = True, True
    return x, upstream, mask


CASES = [
    ((8, 3), 4, 1, False),
    ((11, 3), 4, 1, False),
    ((3, 3), 4, 1, False),
    ((8, 5, 3), 4, 2, True),
    ((11, 5, 3), 4, 2, True),
    ((8, 3, 2, 5), 4, 1, False),
    ((11, 2, 3, 5), 4, 2, True),
    ((9, 2, 2, 2, 3), 4, 4, False),
]


@pytest.mark.parametrize(("shape", "size", "axis", "masked"), CASES)
def test_value_and_gradient(shape, size, axis, masked):
    x, upstream, mask = make_inputs(shape)
    mask = ops.convert_to_tensor(mask) if masked else None

    def loss(x, gamma, beta):
        ghosts = GhostBatches(shape, size, axis)
        y, _, _ = ghost_normalize(x, ghosts, EPSILON, gamma, beta, mask)
        return ops.sum(y * upstream)

    def reference(x, gamma, beta):
        return ops.sum(plain(x, size, gamma, beta, axis, mask) * upstream)

    inputs = (x, GAMMA, BETA)
    np.testing.assert_allclose(loss(*inputs), reference(*inputs), rtol=1e-4)
    for received, expected in zip(
        gradients(loss, inputs), gradients(reference, inputs), strict=True
    ):
        np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("shape", "size", "axis", "masked"), CASES[:4])
def test_second_derivative(shape, size, axis, masked):
    """The gradient of the squared norm of the gradient."""
    x, upstream, mask = make_inputs(shape)
    mask = ops.convert_to_tensor(mask) if masked else None

    def loss(x, gamma, beta):
        ghosts = GhostBatches(shape, size, axis)
        y, _, _ = ghost_normalize(x, ghosts, EPSILON, gamma, beta, mask)
        return ops.sum(ops.sin(y) * upstream)

    def reference(x, gamma, beta):
        y = plain(x, size, gamma, beta, axis, mask)
        return ops.sum(ops.sin(y) * upstream)

    def squared_norm(function):
        return lambda *inputs: sum(
            ops.sum(ops.square(g)) for g in gradients(function, inputs)
        )

    inputs = (x, GAMMA, BETA)
    for received, expected in zip(
        gradients(squared_norm(loss), inputs),
        gradients(squared_norm(reference), inputs),
        strict=True,
    ):
        np.testing.assert_allclose(received, expected, rtol=2e-3, atol=2e-3)


def test_masked_nan_does_not_spread():
    x, _, mask = make_inputs((8, 5, 3))
    x[~mask] = np.nan
    ghosts = GhostBatches(x.shape, 4, 2)
    y, means, variances = ghost_normalize(
        x, ghosts, EPSILON, GAMMA, BETA, ops.convert_to_tensor(mask)
    )
    assert np.isfinite(keras.ops.convert_to_numpy(y)[mask]).all()
    assert np.isfinite(means).all()
    assert np.isfinite(variances).all()
