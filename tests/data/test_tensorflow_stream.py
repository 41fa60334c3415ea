import numpy as np
import pytest

from keras_lbreg.data.tensorflow_stream import tensorflow_stream

pytestmark = pytest.mark.tensorflow


def make(count=5):
    import tensorflow as tf

    batches = [(np.full((2, 3), i), np.arange(2) + i) for i in range(count)]
    signature = tuple(tf.TensorSpec(a.shape, a.dtype) for a in batches[0])
    return batches, tensorflow_stream(lambda: iter(batches), signature)


def test_batches_in_their_order_with_static_shapes():
    batches, stream = make()
    assert [tuple(spec.shape) for spec in stream.element_spec] == [(2, 3), (2,)]
    for _ in range(2):
        found = list(stream.as_numpy_iterator())
        assert len(found) == len(batches)
        for expected, got in zip(batches, found, strict=True):
            for a, b in zip(expected, got, strict=True):
                np.testing.assert_array_equal(a, b)


def test_no_thread_tunes_what_cannot_be_tuned():
    _, stream = make()
    assert stream.options().autotune.enabled is False
