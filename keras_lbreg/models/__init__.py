"""Models, and surgery on models."""

from keras_lbreg.models.apply_dreg import apply_dreg
from keras_lbreg.models.dreg_model import DRegModel
from keras_lbreg.models.strip_dreg import strip_dreg

__all__ = ["DRegModel", "apply_dreg", "strip_dreg"]
