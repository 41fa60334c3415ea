"""Parts of `tf.distribute` strategies."""

from keras_lbreg.distribute.batch_layout import BatchLayout, batch_layout
from keras_lbreg.distribute.cluster import broadcast_from_chief, is_chief
from keras_lbreg.distribute.gradient_mix_cross_device_ops import (
    GradientMixCrossDeviceOps,
)
from keras_lbreg.distribute.multi_worker_mirrored_strategy import (
    MultiWorkerMirroredStrategy,
)

__all__ = [
    "BatchLayout",
    "GradientMixCrossDeviceOps",
    "MultiWorkerMirroredStrategy",
    "batch_layout",
    "broadcast_from_chief",
    "is_chief",
]
