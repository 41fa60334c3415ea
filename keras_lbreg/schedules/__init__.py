"""Learning rates for larger batches."""

from keras_lbreg.schedules.regime import Regime
from keras_lbreg.schedules.scale_learning_rate import scale_learning_rate
from keras_lbreg.schedules.warm_up import WarmUp

__all__ = ["Regime", "WarmUp", "scale_learning_rate"]
