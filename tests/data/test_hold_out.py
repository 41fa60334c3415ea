import numpy as np
import pytest

from keras_lbreg.data import hold_out_rows

LABELS = np.random.default_rng(0).permutation(np.arange(1000) % 10)


def test_parts_make_up_the_training_data():
    kept, held = hold_out_rows(LABELS, 0.1)
    assert len(held) == 100
    for part in (kept, held):
        assert (np.diff(part) > 0).all()
    np.testing.assert_array_equal(
        np.sort(np.concatenate([kept, held])), np.arange(1000)
    )


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_classes_keep_their_shares(fraction):
    labels = np.repeat([0, 1, 2], [11, 50, 400])
    _, held = hold_out_rows(labels, fraction)
    expected = fraction * np.bincount(labels)
    assert np.abs(np.bincount(labels[held]) - expected).max() <= 0.5


def test_choice_is_of_the_labels_and_the_seed_alone():
    first, again = hold_out_rows(LABELS, 0.1), hold_out_rows(LABELS, 0.1)
    np.testing.assert_array_equal(first[1], again[1])
    other = hold_out_rows(LABELS, 0.1, seed=1)
    assert not np.array_equal(first[1], other[1])
    # As written down, so that others can draw the same.
    random = np.random.default_rng(0)
    draws = [
        random.permutation(np.flatnonzero(label == LABELS))[:10]
        for label in range(10)
    ]
    np.testing.assert_array_equal(first[1], np.sort(np.concatenate(draws)))


@pytest.mark.parametrize(
    "targets",
    [
        np.linspace(0, 1, 200),
        np.zeros((200, 7), "int32"),
        # Integers that are no classes: house prices.
        np.arange(200),
        {"b": np.zeros(3), "a": np.linspace(0, 1, 200)},
        (np.zeros((200, 2)), np.zeros(3)),
    ],
    ids=["real", "tokens", "prices", "dictionary", "pair"],
)
def test_other_targets_are_drawn_at_random(targets):
    kept, held = hold_out_rows(targets, 0.1)
    assert (len(kept), len(held)) == (180, 20)
    assert 50 < held.mean() < 150


def test_a_class_keeps_a_training_sample():
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    kept, _ = hold_out_rows(labels, 0.9)
    assert set(labels[kept]) == {0, 1, 2}
    with pytest.raises(ValueError, match=r"`holdout`.*holdout=0\.01 of 7"):
        hold_out_rows(labels, 0.01)
    with pytest.raises(ValueError, match="`holdout`"):
        hold_out_rows(np.zeros(1), 0.9)
