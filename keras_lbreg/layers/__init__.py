"""Layers."""

from keras_lbreg.layers.ghost_batch_normalization import (
    GhostBatchNormalization,
)

__all__ = ["GhostBatchNormalization"]
