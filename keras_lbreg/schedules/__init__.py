"""Learning rates for larger batches."""

from keras_lbreg.schedules.regime import Regime
from keras_lbreg.schedules.scale_adam import scale_adam, scale_momentum
from keras_lbreg.schedules.scale_learning_rate import scale_learning_rate
from keras_lbreg.schedules.warm_up import WarmUp

__all__ = [
    "Regime",
    "WarmUp",
    "scale_adam",
    "scale_learning_rate",
    "scale_momentum",
]
