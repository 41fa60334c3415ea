import numpy as np
import pytest
from keras_tuner.errors import FatalTypeError, FatalValueError

from keras_lbreg.tuning.fit_data import ArrayData
from keras_lbreg.tuning.validation_data import (
    ValidationData,
    shared_batch_size,
)
from tests.tuning.small_network import small_data, small_network


def test_arrays_give_what_keras_gives():
    model = small_network()
    x, y = small_data(20)
    weights = np.linspace(0, 1, 20)
    expected = model.evaluate(x, y, sample_weight=weights, verbose=0)
    for data in ((x, y, weights), [x, y, weights], ArrayData(x, y, weights)):
        validation = ValidationData(data, rank=4)
        assert validation.batch_size == 20
        found = model.evaluate(**validation.for_evaluate(), verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_users_batch_size_is_kept():
    x, y = small_data(20)
    validation = ValidationData((x, y), rank=4, batch_size=3)
    assert validation.for_fit()["validation_batch_size"] == 3
    assert validation.for_evaluate()["batch_size"] == 3
    assert "sample_weight" not in validation.for_evaluate()


@pytest.mark.parametrize("samples", [2, 5, 37, 999, 1024, 5000, 10007])
@pytest.mark.parametrize("replicas", [1, 2, 3, 8])
def test_every_replica_has_samples_in_every_step(samples, replicas):
    def shares(count):
        each = size // replicas
        return [min(each, max(0, count - each * k)) for k in range(replicas)]

    if (samples, replicas) in {(2, 3), (2, 8), (5, 8)}:
        with pytest.raises(FatalValueError, match="cannot be shared"):
            shared_batch_size(samples, replicas)
        return
    size = shared_batch_size(samples, replicas)
    assert size % replicas == 0
    assert size <= 1024 + replicas
    for begin in range(0, samples, size):
        found = shares(min(size, samples - begin))
        assert min(found) > 0
        assert sum(found) == min(size, samples - begin)


@pytest.mark.tensorflow
def test_tf_datasets_are_batched_where_they_are_not():
    import tensorflow as tf

    samples = tf.data.Dataset.from_tensor_slices(small_data(10))
    batched = ValidationData(samples, rank=4, batch_size=4).for_fit()
    shapes = [y.shape[0] for _, y in batched["validation_data"]]
    assert shapes == [4, 4, 2]
    given = samples.batch(5)
    validation = ValidationData(given, rank=4)
    assert validation.for_evaluate() == {"x": given}


def test_other_data_are_refused():
    with pytest.raises(FatalValueError, match="needs validation data"):
        ValidationData(None, rank=4)
    for data in (iter([]), (np.ones(3),), {"x": 1}):
        with pytest.raises(FatalTypeError, match="`validation_data`"):
            ValidationData(data, rank=4)
