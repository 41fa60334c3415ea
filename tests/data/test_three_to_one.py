import math

import numpy as np

from keras_lbreg.data.tfds import three_to_one

DRAWN = np.random.default_rng(3).permutation(np.repeat(range(9), range(1, 10)))


def test_three_of_four_of_every_class_train():
    trains = three_to_one(DRAWN)
    for label in range(9):
        chosen = trains[np.equal(DRAWN, label)]
        assert np.sum(chosen) == math.ceil(0.75 * len(chosen))


def test_the_choice_is_fixed_and_the_classes_are_shuffled():
    labels = np.repeat([0, 1], 100)
    trains = three_to_one(labels)
    np.testing.assert_array_equal(trains, three_to_one(labels))
    assert np.any(trains != three_to_one(labels, seed=1))
    # Neither the first ones of a class, nor the same ones in every class.
    assert not trains[:75].all()
    assert np.any(trains[:100] != trains[100:])
    # What the documentation says, so that others can draw the same split.
    order = np.random.default_rng([0, 1]).permutation(np.arange(100, 200))
    np.testing.assert_array_equal(
        np.sort(order[:75]), 100 + np.flatnonzero(trains[100:])
    )


def test_the_choice_within_a_class_does_not_depend_on_the_others():
    alone = three_to_one(np.full(40, 7))
    labels = np.full(80, 7)
    labels[::2] = 2
    np.testing.assert_array_equal(three_to_one(labels)[1::2], alone)
