"""Which class a model has without the two paths of DReg."""

import keras

from keras_lbreg.models._keras_graph import is_chain
from keras_lbreg.models.dreg_model import DRegModel


def plain_class(model):
    """The class that takes the place of `DRegModel`; `None`: the model's own.

    Args:
        model: A Functional or Sequential model.
    """
    if not isinstance(model, DRegModel):
        return None
    if model.from_sequential and is_chain(model):
        return keras.Sequential
    return keras.Model
