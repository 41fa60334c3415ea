import keras
import pytest

import keras_lbreg
from keras_lbreg.models.active_path import (
    get_active_path,
    path_layers,
    set_active_path,
)


class Custom(keras.Model):
    """A subclassed model, whose layers surgery could not reach."""

    def __init__(self):
        super().__init__()
        self.dense = keras_lbreg.DRegDense(2)
        self.block = keras.Sequential([keras_lbreg.DRegDense(1)])

    def call(self, x, training=None):
        return self.block(self.dense(x, training=training), training=training)


def test_all_layers_switch_together():
    model = Custom()
    model(keras.ops.ones((2, 3)))
    assert len(path_layers(model)) == 2
    assert get_active_path(model) == "right"
    set_active_path(model, "left")
    assert get_active_path(model) == "left"
    assert model.block.layers[-1].active_path == "left"


def test_models_without_paths():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="Expected a model with a DReg layer"):
        get_active_path(model)
