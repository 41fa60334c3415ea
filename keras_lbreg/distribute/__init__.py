"""Parts of `tf.distribute` strategies."""

from keras_lbreg.distribute.gradient_mix_cross_device_ops import (
    GradientMixCrossDeviceOps,
)

__all__ = ["GradientMixCrossDeviceOps"]
