"""Cutting batches into ghost batches."""

import keras
import numpy as np
import pytest

from keras_lbreg.layers.ghost_normalize import GhostBatches


def sizes(batch_size, ghost_batch_size):
    ghosts = GhostBatches((batch_size, 2), ghost_batch_size, 1)
    return keras.ops.convert_to_numpy(ghosts.elements("float32"))[:, 0]


@pytest.mark.parametrize(
    ("batch_size", "ghost_batch_size", "expected"),
    [
        (8, 4, [4, 4]),
        (11, 4, [4, 7]),
        (7, 4, [7]),
        (3, 4, [3]),
        (4, 1, [1, 1, 1, 1]),
        (0, 4, [0]),
    ],
)
def test_sizes(batch_size, ghost_batch_size, expected):
    assert sizes(batch_size, ghost_batch_size).tolist() == expected


@pytest.mark.parametrize("batch_size", [8, 11, 3])
@pytest.mark.parametrize(
    ("rest", "axis"), [((3,), 1), ((5, 3), 2), ((3, 5), 1), ((2, 3, 5), 2)]
)
def test_sum_and_spread(batch_size, rest, axis):
    """Each sample gets back the sum over its ghost, as a plain loop has it."""
    x = np.random.default_rng(0).normal(size=(batch_size, *rest))
    ghosts = GhostBatches(x.shape, 4, axis)
    view = ghosts.split(keras.ops.convert_to_tensor(x))
    total = ghosts.sum(view)
    spread = ghosts.join(view * 0 + ghosts.spread(total))
    expected_rows, expected = [], np.empty_like(x)
    count = max(1, batch_size // 4)
    axes = tuple(a for a in range(x.ndim) if a != axis)
    for i in range(count):
        ghost = slice(4 * i, None if i == count - 1 else 4 * (i + 1))
        rows = x[ghost].sum(axes, keepdims=True)
        expected_rows.append(rows.ravel())
        expected[ghost] = rows
    np.testing.assert_allclose(ghosts.rows(total), expected_rows, atol=1e-5)
    np.testing.assert_allclose(spread, expected, atol=1e-5)


@pytest.mark.parametrize("batch_size", [8, 11])
def test_expand_broadcasts_over_its_own_axis(batch_size):
    ghosts = GhostBatches((batch_size, 3, 5), 4, 1)
    per_ghost = np.arange(6.0).reshape(2, 3)
    expanded = ghosts.expand(keras.ops.convert_to_tensor(per_ghost))
    np.testing.assert_array_equal(ghosts.rows(expanded), per_ghost)
    shared = ghosts.expand(keras.ops.convert_to_tensor(per_ghost[0]))
    np.testing.assert_array_equal(
        ghosts.rows(shared), [per_ghost[0], per_ghost[0]]
    )


@pytest.mark.tensorflow
def test_dynamic_batch_size_gives_the_same():
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, 3))])
    def totals(x):
        ghosts = GhostBatches(keras.ops.shape(x), 4, 1)
        total = ghosts.sum(ghosts.split(x))
        return ghosts.rows(total), ghosts.spread(total)

    for batch_size in (8, 11, 3, 0):
        x = np.random.default_rng(0).normal(size=(batch_size, 3))
        x = x.astype("float32")
        static = GhostBatches(x.shape, 4, 1)
        total = static.sum(static.split(x))
        rows, spread = totals(x)
        np.testing.assert_allclose(rows, static.rows(total), atol=1e-6)
        assert spread.shape == x.shape
