import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.layers.paths import (
    PathFork,
    by_halves,
    path_blocks,
    paths_on_every_device,
    stack_paths,
    unstack_paths,
)
from tests.checks.layer import save_and_load

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


X = np.arange(6, dtype="float32").reshape(3, 2)


def test_the_fork_stacks_in_training_only():
    np.testing.assert_array_equal(
        PathFork()(X, training=True), np.concatenate([X, X])
    )
    np.testing.assert_array_equal(PathFork()(X, training=False), X)
    np.testing.assert_array_equal(PathFork()(X), X)


def test_dtypes_pass_the_fork_unchanged():
    keras.config.set_dtype_policy("mixed_bfloat16")
    for dtype in ("int32", "float32"):
        x = keras.ops.ones((2, 3), dtype)
        outputs = PathFork()(x, training=True)
        assert keras.backend.standardize_dtype(outputs.dtype) == dtype
        symbolic = PathFork()(keras.KerasTensor((2, 3), dtype))
        assert symbolic.dtype == dtype


def test_masks_are_forked():
    x = np.array([[[1.0], [0.0]]], "float32")
    outputs = PathFork()(keras.layers.Masking()(x), training=True)
    np.testing.assert_array_equal(outputs._keras_mask, [[True, False]] * 2)


def test_save_and_load_a_fork(tmp_path):
    inputs = keras.Input((2,))
    again = save_and_load(keras.Model(inputs, PathFork()(inputs)), tmp_path)
    assert again(X, training=True).shape == (6, 2)
