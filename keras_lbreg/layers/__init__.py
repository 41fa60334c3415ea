"""Layers."""

from keras_lbreg.layers.dreg_conv2d import DRegConv2D
from keras_lbreg.layers.dreg_dense import DRegDense
from keras_lbreg.layers.dreg_depthwise_conv2d import DRegDepthwiseConv2D
from keras_lbreg.layers.ghost_batch_normalization import (
    GhostBatchNormalization,
)

__all__ = [
    "DRegConv2D",
    "DRegDense",
    "DRegDepthwiseConv2D",
    "GhostBatchNormalization",
]
