import keras
import pytest

import keras_lbreg
from keras_lbreg.models.plain_class import plain_class


def model_of(branch, from_sequential):
    inputs = keras.Input((3,))
    h = keras_lbreg.DRegDense(3)(inputs)
    if branch:
        h = keras.layers.Add()([h, inputs])
    return keras_lbreg.DRegModel(inputs, h, from_sequential=from_sequential)


@pytest.mark.parametrize(
    ("branch", "from_sequential", "expected"),
    [
        (False, True, keras.Sequential),
        (False, False, keras.Model),
        (True, True, keras.Model),
    ],
)
def test_class_without_forks(branch, from_sequential, expected):
    assert plain_class(model_of(branch, from_sequential)) is expected


def test_other_classes_stay():
    assert plain_class(keras.Sequential()) is None
