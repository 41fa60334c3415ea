"""Moving statistics over several ghost batches."""

import numpy as np
import pytest

from keras_lbreg.layers.moving_statistics import update_moving_statistics

PER_GHOST = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
MOVING = np.array([1.0, -2.0, 3.0], "float32")


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.99, 1.0])
def test_sequential_is_one_update_after_another(momentum):
    expected = MOVING.astype("float64")
    for row in PER_GHOST:
        expected = momentum * expected + (1 - momentum) * row
    received = update_moving_statistics(
        MOVING, PER_GHOST, momentum, "sequential"
    )
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_mean_is_one_update(momentum):
    received = update_moving_statistics(MOVING, PER_GHOST, momentum, "mean")
    np.testing.assert_allclose(
        received,
        momentum * MOVING + (1 - momentum) * PER_GHOST.mean(0),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("statistics", ["sequential", "mean"])
def test_weights_sum_to_one(statistics):
    """Unlike those of Algorithm 1 as printed: constants are kept."""
    received = update_moving_statistics(
        MOVING, np.tile(MOVING, (32, 1)), 0.9, statistics
    )
    np.testing.assert_allclose(received, MOVING, rtol=1e-5)
