"""Ghost normalization and its derivatives, in every implementation."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_lbreg.layers import ghost_normalize as module
from keras_lbreg.layers.ghost_normalize import (
    GhostBatches,
    ghost_normalize,
    normalize_in_ops,
)
from tests.checks.tensor_gradients import gradients

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

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


def directional(function, inputs, tangents):
    """The derivative of `function` along `tangents`, in forward mode."""
    inputs = [ops.convert_to_tensor(x) for x in inputs]
    tangents = [ops.convert_to_tensor(t) for t in tangents]
    if keras.backend.backend() == "jax":
        import jax

        return jax.jvp(function, tuple(inputs), tuple(tangents))[1]
    with tf.autodiff.ForwardAccumulator(inputs, tangents) as accumulator:
        value = function(*inputs)
    return accumulator.jvp(value)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("shape", "size", "axis", "masked"), CASES)
def test_forward_mode(shape, size, axis, masked, fused, monkeypatch):
    """Forward mode, and reverse mode over it."""
    if fused:
        if keras.backend.backend() != "tensorflow":
            pytest.skip("the fused kernel is TensorFlow's")
        if masked or axis != len(shape) - 1:
            pytest.skip("the fused kernel takes neither masks nor other axes")
        monkeypatch.setattr(module, "WORTHWHILE", 0)
    x, upstream, mask = make_inputs(shape)
    mask = ops.convert_to_tensor(mask) if masked else None
    rng = np.random.default_rng(1)
    inputs = (x, GAMMA, BETA)
    tangents = [rng.normal(size=t.shape).astype("float32") for t in inputs]

    def ghost(x, gamma, beta):
        ghosts = GhostBatches(shape, size, axis)
        y, _, _ = ghost_normalize(x, ghosts, EPSILON, gamma, beta, mask)
        return y

    def reference(x, gamma, beta):
        return plain(x, size, gamma, beta, axis, mask)

    received = directional(ghost, inputs, tangents)
    expected = directional(reference, inputs, tangents)
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4)

    def over(function):
        def loss(*inputs):
            return ops.sum(ops.sin(function(*inputs)) * upstream)

        return lambda *inputs: directional(loss, inputs, tangents)

    for received, expected in zip(
        gradients(over(ghost), inputs),
        gradients(over(reference), inputs),
        strict=True,
    ):
        np.testing.assert_allclose(received, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(("shape", "size", "axis", "masked"), CASES[:4])
def test_forward_over_reverse(shape, size, axis, masked):
    """A product of the Hessian and a vector."""
    x, upstream, mask = make_inputs(shape)
    mask = ops.convert_to_tensor(mask) if masked else None

    def ghost(x):
        ghosts = GhostBatches(shape, size, axis)
        y, _, _ = ghost_normalize(x, ghosts, EPSILON, GAMMA, BETA, mask)
        return ops.sum(ops.sin(y) * upstream)

    def reference(x):
        y = plain(x, size, GAMMA, BETA, axis, mask)
        return ops.sum(ops.sin(y) * upstream)

    received, expected = (
        directional(lambda x, f=f: gradients(f, (x,))[0], [x], [x[::-1] + 0])
        for f in (ghost, reference)
    )
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


@pytest.mark.parametrize(
    ("batch_size", "ghost_batch_size", "expected"),
    [
        (8, 4, [4, 4]),
        (11, 4, [4, 7]),
        (7, 4, [7]),
        (4, 4, [4]),
        (3, 4, [3]),
        (4, 1, [1, 1, 1, 1]),
        (0, 4, [0]),
    ],
)
def test_sizes(batch_size, ghost_batch_size, expected):
    ghosts = GhostBatches((batch_size, 2), ghost_batch_size, 1)
    elements = [
        keras.ops.convert_to_numpy(part.elements("float32")).ravel()
        for part in ghosts.parts
    ]
    assert ghosts.count == len(expected)
    assert np.concatenate(elements).tolist() == expected


def totals_of_ghosts(x, size, axis):
    """The sums over the ghosts, and each sample's, as the classes have them."""
    groups, cut = GhostBatches(keras.ops.shape(x), size, axis).groups()
    rows, spread = [], []
    for group, values in zip(groups, cut(x), strict=True):
        view = group.split(values)
        total = group.sum(view)
        rows.append(group.rows(total))
        spread.append(group.join(view * 0 + group.spread(total)))
    return ops.concatenate(rows), ops.concatenate(spread)


def totals_of_loop(x, size, axis):
    """The same by a plain loop."""
    rows, spread = [], np.empty_like(x)
    count = max(1, len(x) // size)
    axes = tuple(a for a in range(x.ndim) if a != axis)
    for i in range(count):
        ghost = slice(size * i, None if i == count - 1 else size * (i + 1))
        row = x[ghost].sum(axes, keepdims=True)
        rows.append(row.ravel())
        spread[ghost] = row
    return rows, spread


@pytest.mark.parametrize("batch_size", [8, 11, 3])
@pytest.mark.parametrize(
    ("rest", "axis"), [((3,), 1), ((5, 3), 2), ((3, 5), 1), ((2, 3, 5), 2)]
)
def test_sums(batch_size, rest, axis):
    x = np.random.default_rng(0).normal(size=(batch_size, *rest))
    received = totals_of_ghosts(keras.ops.convert_to_tensor(x), 4, axis)
    expected = totals_of_loop(x, 4, axis)
    for value, other in zip(received, expected, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-5)


@pytest.mark.tensorflow
@pytest.mark.parametrize("rest", [(), (2,)])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_sums_where_the_batch_size_is_unknown(jit_compile, rest):
    axis = 1 + len(rest)
    totals = tf.function(
        lambda x: totals_of_ghosts(x, 4, axis),
        input_signature=[tf.TensorSpec((None, *rest, 3))],
        jit_compile=jit_compile,
    )
    for batch_size in (8, 11, 4, 3, 0):
        x = np.random.default_rng(0).normal(size=(batch_size, *rest, 3))
        x = x.astype("float32")
        expected = totals_of_loop(x, 4, axis)
        for value, other in zip(totals(x), expected, strict=True):
            np.testing.assert_allclose(value, other, atol=1e-6)


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


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("rest", "static"),
    [
        ((), True),
        ((), False),
        ((2, 4), True),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ((2, 4), False),
                ((5,), True),
                ((5,), False),
                ((2, 2, 2), True),
                ((2, 2, 2), False),
            ]
        ),
    ],
)
def test_kernel_equals_operations(rest, static):
    shape = (None, *rest, 3)
    functions = [
        tf.function(lambda x, u, f=f: run(f, x, u, 4), autograph=False)
        for f in (module.fused_normalize, normalize_in_ops)
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


@pytest.mark.tensorflow
def test_empty_batch():
    def loss(x, gamma, beta):
        ghosts = GhostBatches(keras.ops.shape(x), 4, 2)
        y, _, _ = module.fused_normalize(x, ghosts, EPSILON, gamma, beta)
        return tf.reduce_sum(y)

    for g in gradients(loss, (tf.zeros((0, 5, 3)), GAMMA, BETA)):
        np.testing.assert_array_equal(g, tf.zeros_like(g))


@pytest.mark.tensorflow
def test_one_sample_in_a_ghost_has_no_variance():
    ghosts = GhostBatches((2, 3), 1, 1)
    x = tf.random.normal((2, 3))
    y, means, variances = module.fused_normalize(
        x, ghosts, EPSILON, tf.constant(GAMMA), tf.constant(BETA)
    )
    np.testing.assert_allclose(means, x)
    np.testing.assert_array_equal(variances, np.zeros((2, 3)))
    np.testing.assert_allclose(y, np.tile(BETA, (2, 1)), atol=1e-6)


@pytest.mark.tensorflow
def test_xla_is_recognized():
    """Contract with the private `control_flow_util` of TensorFlow 2.21."""
    seen = []

    def record(x):
        seen.append(module.in_xla())
        return x

    inner = tf.function(record)
    assert not module.in_xla()
    tf.function(record)(1.0)
    tf.function(record, jit_compile=True)(1.0)
    tf.function(lambda x: inner(x), jit_compile=True)(1.0)
    assert seen == [False, True, True]


def can_fuse(shape, axis=-1, size=128, dtype="float32"):
    x = tf.zeros(shape, dtype)
    axis %= len(shape)
    return module.can_fuse(x, GhostBatches(shape, size, axis))


@pytest.mark.tensorflow
def test_when_the_kernel_is_used():
    big = (256, 8, 8, 16)
    assert can_fuse(big)
    assert not can_fuse(big, axis=1)
    assert not can_fuse(big, size=4)
    assert not can_fuse(big, dtype="float64")
