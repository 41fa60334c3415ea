import itertools

import keras
import numpy as np
import pytest
from keras_tuner.errors import FatalTypeError, FatalValueError

from keras_lbreg.data.batches import Batches
from keras_lbreg.techniques import Context
from keras_lbreg.tuning.fit_data import ArrayData, read_data
from tests.tuning.small_network import small_data

MIX = {"gradient_mix": {"groups": 2, "concentration": 1.0}}


def take(batches, count):
    return [
        keras.tree.map_structure(np.asarray, batch)
        for batch in itertools.islice(iter(batches), count)
    ]


def context(batch_size, initial_step=0):
    return Context(
        seed=5,
        base_batch_size=4,
        batch_size=batch_size,
        initial_step=initial_step,
    )


def test_arrays_come_in_the_order_of_experiments():
    x, y = small_data(30)
    found = take(read_data(x, y).batches(8, {}, context(8)), 7)
    expected = itertools.islice(iter(Batches(x, y, 8, seed=5)), 7)
    for (x_own, y_own), (x_batch, y_batch) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x_own, x_batch)
        np.testing.assert_array_equal(y_own, y_batch)


def test_a_later_part_goes_on_where_the_first_ended():
    x, y = small_data(30)
    data = read_data(x, y, np.linspace(0, 1, 30))
    whole = take(data.batches(8, MIX, context(8)), 9)
    rest = take(data.batches(8, MIX, context(8, initial_step=6)), 3)
    for own, expected in zip(rest, whole[6:], strict=True):
        for values, others in zip(own, expected, strict=True):
            np.testing.assert_array_equal(values, others)


def test_mixing_multiplies_the_users_weights():
    x, y = small_data(16)
    given = np.linspace(1, 2, 16).astype("float64")
    data = read_data(x, y, given)
    assert data.arrays[2].dtype == "float32"
    [(_, labels, weights)] = take(data.batches(8, MIX, context(8)), 1)
    [(_, same, plain)] = take(data.batches(8, {}, context(8)), 1)
    np.testing.assert_array_equal(labels, same)
    factors = weights / plain
    np.testing.assert_allclose(factors[:4], factors[0], rtol=1e-5)
    np.testing.assert_allclose(factors[4:], factors[4], rtol=1e-5)
    np.testing.assert_allclose(factors[0] + factors[4], 2, rtol=1e-5)
    assert factors[0] != factors[4]


def test_structures_of_inputs_and_targets():
    x = {"a": np.arange(6.0), "b": [np.arange(6), np.arange(6) + 1]}
    y = [np.arange(6) * 2, np.arange(6) * 3]
    [(x_batch, y_batch)] = take(read_data(x, y).batches(4, {}, context(4)), 1)
    np.testing.assert_array_equal(x_batch["b"][1], x_batch["a"] + 1)
    np.testing.assert_array_equal(y_batch[1], x_batch["a"] * 3)


def test_split_takes_the_end():
    x, y = small_data(10)
    rest, end = ArrayData(x, y).split(0.3)
    assert (rest.samples, end.samples) == (7, 3)
    np.testing.assert_array_equal(end.arrays[0], x[7:])
    np.testing.assert_array_equal(rest.arrays[1], y[:7])
    with pytest.raises(FatalValueError, match="between 0 and 1"):
        rest.split(1.5)


class Pairs(keras.utils.PyDataset):
    def __getitem__(self, index):
        return small_data(4)

    def __len__(self):
        return 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((Pairs(),), FatalTypeError, "`tf.data.Dataset`.*type Pairs"),
        ((iter([1]),), FatalTypeError, "batches of any size"),
        ((np.ones(3),), FatalValueError, "`y=None`"),
        ((None, np.ones(3)), FatalValueError, "`x=None`"),
        ((np.ones(3), np.ones(2)), FatalValueError, r"\[2, 3\] samples"),
    ],
)
def test_other_data_are_refused(arguments, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        read_data(*arguments)


@pytest.mark.tensorflow
@pytest.mark.parametrize("batch", [None, 5, 12])
def test_tf_datasets_are_dealt_into_full_batches(batch):
    import tensorflow as tf

    x, y = small_data(12)
    dataset = tf.data.Dataset.from_tensor_slices((x, y))
    if batch:
        dataset = dataset.batch(batch)
    data = read_data(dataset, rank=4)
    # A last batch of 2 counts as one of 5.
    assert data.samples == (15 if batch == 5 else 12)
    batches = data.batches(8, MIX, context(8))
    assert batches.element_spec[0].shape == (8, 4, 4, 1)
    found = take(batches, 3)
    np.testing.assert_array_equal(
        np.concatenate([labels for _, labels, _ in found]), np.tile(y, 2)
    )
    of_arrays = take(ArrayData(x, y).batches(8, MIX, context(8)), 2)
    for (_, _, weights), (_, _, same) in zip(found, of_arrays, strict=False):
        np.testing.assert_allclose(weights, same, rtol=1e-6)


@pytest.mark.tensorflow
def test_tf_datasets_of_unknown_size_are_refused():
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(small_data(12))
    for changed, message in (
        (dataset.repeat(), "infinite cardinality"),
        (dataset.filter(lambda x, y: y > 0), "unknown.*assert_cardinality"),
        (dataset.map(lambda x, y: x), r"of `\(x, y\)` or"),
    ):
        with pytest.raises(FatalValueError, match=f"(?s){message}"):
            read_data(changed, rank=4)
    with pytest.raises(FatalValueError, match="part of the dataset"):
        read_data(dataset, y=np.ones(12), rank=4)
    with pytest.raises(FatalValueError, match="Give `validation_data`"):
        read_data(dataset, rank=4).split(0.5)
