"""What to write to train a workload with a large batch."""

from keras_lbreg.scaling.curve import Curve
from keras_lbreg.scaling.scale_up import ScaleUp, scale_up

__all__ = ["Curve", "ScaleUp", "scale_up"]
