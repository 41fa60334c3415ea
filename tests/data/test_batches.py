import itertools

import numpy as np
import pytest

from keras_lbreg.data.batches import Batches

X = np.arange(10)[:, None]
Y = np.arange(10)


def take(batches, count):
    return [y.tolist() for _, y in itertools.islice(iter(batches), count)]


def test_every_epoch_is_a_new_order_of_distinct_samples():
    batches = Batches(X, Y, batch_size=3, seed=0)
    assert batches.steps_per_epoch == 3
    epochs = np.reshape(take(batches, 6), (2, 9))
    for epoch in epochs:
        assert len(set(epoch)) == 9
    assert epochs[0].tolist() != epochs[1].tolist()


def test_inputs_stay_with_their_labels():
    for x, y in itertools.islice(iter(Batches(X, Y, 4, seed=1)), 5):
        assert x[:, 0].tolist() == y.tolist()


def test_a_later_epoch_does_not_depend_on_earlier_ones():
    straight = take(Batches(X, Y, 5, seed=3), 8)
    resumed = take(Batches(X, Y, 5, seed=3, initial_epoch=2), 4)
    assert resumed == straight[4:]


def test_dropped_samples_differ_between_epochs():
    epochs = np.reshape(take(Batches(X, Y, 4, seed=0), 20), (10, 8))
    dropped = {frozenset(range(10)) - set(epoch.tolist()) for epoch in epochs}
    assert len(dropped) > 5


def test_an_epoch_longer_than_the_data_goes_on_in_another_order():
    long = Batches(X, Y, 4, seed=3, steps_per_epoch=6)
    epochs = np.reshape(take(long, 12), (2, 24))
    for epoch in epochs:
        assert sorted(epoch[:10]) == sorted(epoch[10:20]) == Y.tolist()
        assert len(set(epoch[20:])) == 4
        assert epoch[:10].tolist() != epoch[10:20].tolist()
    short = take(Batches(X, Y, 4, seed=3), 2)
    assert epochs[0, :8].tolist() == [*short[0], *short[1]]
    resumed = Batches(X, Y, 4, 3, initial_epoch=1, steps_per_epoch=6)
    assert take(resumed, 6) == epochs[1].reshape(6, 4).tolist()


def test_seeds_differ():
    assert take(Batches(X, Y, 5, 0), 2) != take(Batches(X, Y, 5, 1), 2)


@pytest.mark.parametrize("batch_size", [0, 11])
def test_batch_size_must_fit(batch_size):
    with pytest.raises(ValueError, match="`batch_size`"):
        Batches(X, Y, batch_size, seed=0)
