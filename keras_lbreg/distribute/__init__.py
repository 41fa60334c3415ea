"""Parts of `tf.distribute` strategies."""

from keras_lbreg.distribute.batch_layout import BatchLayout, batch_layout
from keras_lbreg.distribute.gradient_mix_cross_device_ops import (
    GradientMixCrossDeviceOps,
)

__all__ = ["BatchLayout", "GradientMixCrossDeviceOps", "batch_layout"]
