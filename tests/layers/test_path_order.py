import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.layers.dreg_twin import by_halves
from keras_lbreg.layers.path_order import (
    path_blocks,
    paths_on_every_device,
    stack_paths,
    unstack_paths,
)

to_numpy = keras.ops.convert_to_numpy
RIGHT = np.arange(8.0).reshape(4, 2)
LEFT = -RIGHT

on_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="needs the JAX backend"
)


@pytest.fixture
def two_devices():
    distribution = keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"])
    with distribution.scope(), paths_on_every_device():
        yield


def test_right_comes_before_left():
    with paths_on_every_device():
        stacked = stack_paths(RIGHT, LEFT)
    np.testing.assert_array_equal(stacked, np.concatenate([RIGHT, LEFT]))
    for path, expected in zip(
        unstack_paths(stacked), (RIGHT, LEFT), strict=True
    ):
        np.testing.assert_array_equal(path, expected)


@on_jax
def test_every_device_has_both_paths_of_its_samples(two_devices):
    stacked = stack_paths(RIGHT, LEFT)
    of_first, of_second = np.split(to_numpy(stacked), 2)
    np.testing.assert_array_equal(
        of_first, np.concatenate([RIGHT[:2], LEFT[:2]])
    )
    np.testing.assert_array_equal(
        of_second, np.concatenate([RIGHT[2:], LEFT[2:]])
    )
    for path, expected in zip(
        unstack_paths(stacked), (RIGHT, LEFT), strict=True
    ):
        np.testing.assert_array_equal(path, expected)


@on_jax
def test_halves_are_the_paths_with_their_masks(two_devices):
    seen = []

    def note(half, mask):
        seen.append((to_numpy(half), to_numpy(mask)))
        return half

    mask = stack_paths(RIGHT[:, 0] > 2, LEFT[:, 0] > 0)
    stacked = stack_paths(RIGHT, LEFT)
    again = by_halves(note, note, stacked, mask)
    np.testing.assert_array_equal(again, stacked)
    np.testing.assert_array_equal(seen[0][0], RIGHT)
    np.testing.assert_array_equal(seen[0][1], RIGHT[:, 0] > 2)
    np.testing.assert_array_equal(seen[1][0], LEFT)
    np.testing.assert_array_equal(seen[1][1], LEFT[:, 0] > 0)


@on_jax
def test_rows_that_devices_cannot_share_are_in_one_block(two_devices):
    assert path_blocks(8) == 2
    assert path_blocks(6) == 1
    assert path_blocks(None) == 1


@on_jax
def test_blocks_end_with_the_scope():
    distribution = keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"])
    with distribution.scope():
        with paths_on_every_device():
            with paths_on_every_device():
                pass
            assert path_blocks(8) == 2
        assert path_blocks(8) == 1


@on_jax
def test_outputs_of_a_model_come_right_then_left():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    hidden = keras_lbreg.DRegDense(
        4, paths="both", init_distance=1.0, name="fork"
    )(inputs)
    outputs = keras.layers.Dense(2)(hidden)
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")

    def predictions():
        model = keras_lbreg.DRegModel(inputs, outputs)
        return to_numpy(model(x, training=True))

    expected = predictions()
    assert np.abs(expected[:8] - expected[8:]).max() > 0.1
    distribution = keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"])
    with distribution.scope():
        np.testing.assert_allclose(predictions(), expected, atol=1e-6)
