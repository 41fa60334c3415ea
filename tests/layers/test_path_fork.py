import keras
import numpy as np

from keras_lbreg.layers.path_fork import PathFork
from tests.checks.layer import save_and_load

X = np.arange(6, dtype="float32").reshape(3, 2)


def test_it_stacks_in_training_only():
    np.testing.assert_array_equal(
        PathFork()(X, training=True), np.concatenate([X, X])
    )
    np.testing.assert_array_equal(PathFork()(X, training=False), X)
    np.testing.assert_array_equal(PathFork()(X), X)


def test_dtypes_pass_unchanged():
    keras.config.set_dtype_policy("mixed_bfloat16")
    for dtype in ("int32", "float32"):
        x = keras.ops.ones((2, 3), dtype)
        outputs = PathFork()(x, training=True)
        assert keras.backend.standardize_dtype(outputs.dtype) == dtype
        symbolic = PathFork()(keras.KerasTensor((2, 3), dtype))
        assert symbolic.dtype == dtype


def test_masks_are_stacked():
    x = np.array([[[1.0], [0.0]]], "float32")
    outputs = PathFork()(keras.layers.Masking()(x), training=True)
    np.testing.assert_array_equal(outputs._keras_mask, [[True, False]] * 2)


def test_save_and_load(tmp_path):
    inputs = keras.Input((2,))
    again = save_and_load(keras.Model(inputs, PathFork()(inputs)), tmp_path)
    assert again(X, training=True).shape == (6, 2)
