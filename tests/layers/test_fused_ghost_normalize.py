"""The fused kernel computes what the operations do."""

import keras
import numpy as np
import pytest

from keras_lbreg.layers.ghost_batches import GhostBatches
from keras_lbreg.layers.ghost_normalize import normalize_in_ops
from tests.checks.tensor_gradients import gradients

pytestmark = pytest.mark.tensorflow

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    from keras_lbreg.layers import _fused_ghost_normalize as fused

EPSILON = 1e-3
GAMMA = np.array([0.5, 1.0, -2.0], "float32")
BETA = np.array([0.1, 0.0, 3.0], "float32")


def run(function, x, upstream, size):
    """Outputs, statistics, first and second derivatives."""

    def loss(x, gamma, beta):
        ghosts = GhostBatches(keras.ops.shape(x), size, len(x.shape) - 1)
        y, _, _ = function(x, ghosts, EPSILON, gamma, beta)
        return tf.reduce_sum(tf.sin(y) * upstream)

    def squared_norm(*inputs):
        return sum(tf.reduce_sum(tf.square(g)) for g in gradients(loss, inputs))

    ghosts = GhostBatches(keras.ops.shape(x), size, len(x.shape) - 1)
    inputs = (x, GAMMA, BETA)
    return (
        *function(x, ghosts, EPSILON, *map(tf.constant, inputs[1:])),
        *gradients(loss, inputs),
        *gradients(squared_norm, inputs),
    )


@pytest.mark.parametrize("rest", [(), (5,), (2, 4), (2, 2, 2)])
@pytest.mark.parametrize("static", [True, False])
def test_kernel_equals_operations(rest, static):
    shape = (None, *rest, 3)
    functions = [
        tf.function(lambda x, u, f=f: run(f, x, u, 4), autograph=False)
        for f in (fused.fused_ghost_normalize, normalize_in_ops)
    ]
    if not static:
        specs = [tf.TensorSpec(shape)] * 2
        functions = [f.get_concrete_function(*specs) for f in functions]
    rng = np.random.default_rng(0)
    for batch_size in (8, 11, 3) if not static else (11,):
        x, u = tf.cast(
            rng.normal(2, 3, size=(2, batch_size, *rest, 3)), "float32"
        )
        results = [f(tf.constant(x), tf.constant(u)) for f in functions]
        for received, expected in zip(*results, strict=True):
            np.testing.assert_allclose(received, expected, rtol=2e-3, atol=2e-3)


def test_empty_batch():
    def loss(x, gamma, beta):
        ghosts = GhostBatches(keras.ops.shape(x), 4, 2)
        y, _, _ = fused.fused_ghost_normalize(x, ghosts, EPSILON, gamma, beta)
        return tf.reduce_sum(y)

    for g in gradients(loss, (tf.zeros((0, 5, 3)), GAMMA, BETA)):
        np.testing.assert_array_equal(g, tf.zeros_like(g))


def test_one_sample_in_a_ghost_has_no_variance():
    ghosts = GhostBatches((2, 3), 1, 1)
    x = tf.random.normal((2, 3))
    y, means, variances = fused.fused_ghost_normalize(
        x, ghosts, EPSILON, tf.constant(GAMMA), tf.constant(BETA)
    )
    np.testing.assert_allclose(means, x)
    np.testing.assert_array_equal(variances, np.zeros((2, 3)))
    np.testing.assert_allclose(y, np.tile(BETA, (2, 1)), atol=1e-6)


def test_xla_is_recognized():
    """Contract with the private `control_flow_util` of TensorFlow 2.21."""
    seen = []

    def record(x):
        seen.append(fused.in_xla())
        return x

    inner = tf.function(record)
    assert not fused.in_xla()
    tf.function(record)(1.0)
    tf.function(record, jit_compile=True)(1.0)
    tf.function(lambda x: inner(x), jit_compile=True)(1.0)
    assert seen == [False, True, True]


def can_fuse(shape, axis=-1, size=128, dtype="float32"):
    x = tf.zeros(shape, dtype)
    axis %= len(shape)
    return fused.can_fuse(x, GhostBatches(shape, size, axis))


def test_when_the_kernel_is_used():
    big = (256, 8, 8, 16)
    assert can_fuse(big)
    assert not can_fuse(big, axis=1)
    assert not can_fuse(big, size=4)
    assert not can_fuse(big, dtype="float64")
