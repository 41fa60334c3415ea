import keras
import numpy as np
import pytest

from keras_lbreg.optimizers import sparse_gradients


def slices():
    import tensorflow as tf

    return tf.IndexedSlices(
        values=tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        indices=tf.constant([2, 0, 2]),
        dense_shape=tf.constant([3, 2]),
    )


def test_dense_gradients():
    gradient = keras.ops.convert_to_tensor([1.0, 2.0])
    np.testing.assert_array_equal(
        sparse_gradients.scale(gradient, 3.0), [3.0, 6.0]
    )
    assert sparse_gradients.densify(gradient, (2,)) is gradient


def test_scaling_keeps_the_dtype():
    gradient = keras.ops.ones((2,), dtype="float16")
    factor = keras.ops.convert_to_tensor(0.5)
    scaled = sparse_gradients.scale(gradient, factor)
    assert keras.backend.standardize_dtype(scaled.dtype) == "float16"


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_all_finite(bad):
    good = [keras.ops.ones(2), keras.ops.zeros((2, 2))]
    assert bool(sparse_gradients.all_finite(good))
    bad = keras.ops.convert_to_tensor([[1.0, bad]])
    assert not bool(sparse_gradients.all_finite([*good, bad]))


@pytest.mark.tensorflow
def test_slices_are_scaled_as_slices():
    scaled = sparse_gradients.scale(slices(), 2.0)
    assert type(scaled) is type(slices())
    np.testing.assert_array_equal(scaled.values, 2 * slices().values.numpy())
    np.testing.assert_array_equal(scaled.indices, [2, 0, 2])


@pytest.mark.tensorflow
def test_slices_of_one_row_are_summed():
    np.testing.assert_array_equal(
        sparse_gradients.densify(slices(), (3, 2)),
        [[3.0, 4.0], [0.0, 0.0], [6.0, 8.0]],
    )


@pytest.mark.tensorflow
def test_infinite_slices_are_found():
    gradient = sparse_gradients.scale(slices(), np.inf)
    assert bool(sparse_gradients.all_finite([slices()]))
    assert not bool(sparse_gradients.all_finite([gradient]))
