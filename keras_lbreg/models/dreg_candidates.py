"""The layers that distinctive regularization can double."""

import keras

from keras_lbreg.layers.dreg_conv2d import DRegConv2D
from keras_lbreg.layers.dreg_dense import DRegDense
from keras_lbreg.layers.dreg_depthwise_conv2d import DRegDepthwiseConv2D
from keras_lbreg.layers.dreg_twin import DRegTwin
from keras_lbreg.models.layer_search import find_layers

TWINS = {
    keras.layers.Conv2D: DRegConv2D,
    keras.layers.DepthwiseConv2D: DRegDepthwiseConv2D,
    keras.layers.Dense: DRegDense,
}


def dreg_candidates(model):
    """The layers that `apply_dreg` takes, by path, in order of call.

    Args:
        model: A Functional or Sequential model.

    Returns:
        Dict from path to layer: every `Conv2D`, `DepthwiseConv2D` and `Dense`,
        in nested models too, and every layer that is doubled already.

    Example:

    >>> list(dreg_candidates(model))
    ['conv1', 'conv2', 'logits']

    Reference: `keras_lbreg.apply_dreg`.
    """
    return find_layers(
        model, lambda x: type(x) in TWINS or isinstance(x, DRegTwin)
    )
