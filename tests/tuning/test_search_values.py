import keras_tuner
import pytest

from keras_lbreg.techniques import SearchRange
from keras_lbreg.tuning.search_values import (
    declare_range,
    ends,
    first_value,
)


@pytest.mark.parametrize(
    ("values", "default", "kind", "first"),
    [
        (SearchRange(1e-3, 1.0, log=True), 0.1, "Float", 0.1),
        (SearchRange(1e-3, 1.0, log=True), 3.0, "Float", 1e-3),
        (SearchRange(1e-3, 1.0), None, "Float", 1e-3),
        (SearchRange(0, 5), 2, "Int", 2),
        (("a", "b"), "b", "Choice", "b"),
        (("a", "b"), None, "Choice", "a"),
        ((7,), 3, "Fixed", 7),
    ],
)
def test_kind_and_first_value(values, default, kind, first):
    hp = keras_tuner.HyperParameters()
    declare_range(hp, "x", values, default)
    assert type(hp.space[0]).__name__ == kind
    assert hp.get("x") == first_value(values, default) == first


def test_a_logarithmic_range_is_sampled_so():
    hp = keras_tuner.HyperParameters()
    declare_range(hp, "x", SearchRange(1e-4, 1.0, log=True))
    samples = sorted(hp.space[0].random_sample(seed) for seed in range(200))
    assert 1e-3 < samples[100] < 1e-1


def test_ends_of_a_range_and_of_choices():
    assert ends(SearchRange(1, 9)) == (1, 9)
    assert ends(("a", "b", "c")) == ("a", "b", "c")
