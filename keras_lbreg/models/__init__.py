"""Models, and surgery on models."""

from keras_lbreg.models.apply_dreg import apply_dreg, strip_dreg
from keras_lbreg.models.apply_ghost_batch_norm import (
    apply_ghost_batch_norm,
    strip_ghost_batch_norm,
)
from keras_lbreg.models.dreg_model import DRegModel

__all__ = [
    "DRegModel",
    "apply_dreg",
    "apply_ghost_batch_norm",
    "strip_dreg",
    "strip_ghost_batch_norm",
]
