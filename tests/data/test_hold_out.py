import dataclasses

import numpy as np
import pytest

from keras_lbreg.data import load_dataset
from keras_lbreg.data.dataset import Dataset
from keras_lbreg.data.hold_out import hold_out

DIGITS = load_dataset("digits")


def rows(*parts):
    """The samples of some arrays, sorted."""
    flat = [part.reshape(len(part), -1) for part in parts]
    return sorted(map(tuple, np.concatenate(flat).tolist()))


def test_parts_make_up_the_training_data():
    part = hold_out(DIGITS, 0.1)
    assert len(part.x_val) == len(part.y_val) == 100
    assert rows(part.x_train, part.x_val) == rows(DIGITS.x_train)
    # Labels stay with their samples.
    label_of = {
        x.tobytes(): y
        for x, y in zip(DIGITS.x_train, DIGITS.y_train, strict=True)
    }
    for x, y in zip(part.x_val, part.y_val, strict=True):
        assert label_of[x.tobytes()] == y
    assert "100 of the 1024 training samples" in part.notes
    assert DIGITS.notes in part.notes
    assert (part.name, part.title) == ("digits", DIGITS.title)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_classes_keep_their_shares(fraction):
    part = hold_out(DIGITS, fraction)
    expected = fraction * np.bincount(DIGITS.y_train)
    assert np.abs(np.bincount(part.y_val) - expected).max() <= 0.5


def test_choice_is_of_the_seed_alone():
    first, again = hold_out(DIGITS, 0.1), hold_out(DIGITS, 0.1)
    np.testing.assert_array_equal(first.x_val, again.x_val)
    other = hold_out(DIGITS, 0.1, seed=1)
    assert not np.array_equal(first.x_val, other.x_val)
    # Whatever the validation data is.
    blind = dataclasses.replace(
        DIGITS, x_val=DIGITS.x_val[:5] * 0, y_val=DIGITS.y_val[:5]
    )
    np.testing.assert_array_equal(first.x_val, hold_out(blind, 0.1).x_val)


def test_a_class_keeps_a_training_sample():
    x = np.arange(7.0)[:, None]
    y = np.array([0, 0, 0, 0, 1, 1, 2])
    data = Dataset("tiny", x, y, x, y, classes=3)
    part = hold_out(data, 0.9)
    assert sorted(part.y_train.tolist()) == [0, 1, 2]
    with pytest.raises(ValueError, match=r"`holdout`.*holdout=0\.01 of 7"):
        hold_out(data, 0.01)
