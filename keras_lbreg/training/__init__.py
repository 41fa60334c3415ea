"""From a workload, an arm and a seed to a trained plain model."""

from keras_lbreg.training.arm import Arm
from keras_lbreg.training.placement import choose_strategy
from keras_lbreg.training.run import Run

__all__ = ["Arm", "Run", "choose_strategy"]
