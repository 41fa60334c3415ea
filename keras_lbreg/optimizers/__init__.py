"""Optimizers, and wrappers that work on the reduced gradient."""

from keras_lbreg.optimizers.coupled_sgd import CoupledSGD
from keras_lbreg.optimizers.gradient_mix import GradientMix
from keras_lbreg.optimizers.gradient_noise import GradientNoise
from keras_lbreg.optimizers.lars import LARS
from keras_lbreg.optimizers.loss_scale_optimizer import LossScaleOptimizer
from keras_lbreg.optimizers.reduced_gradient import ReducedGradient
from keras_lbreg.optimizers.squared_gradients import SquaredGradients

__all__ = [
    "LARS",
    "CoupledSGD",
    "GradientMix",
    "GradientNoise",
    "LossScaleOptimizer",
    "ReducedGradient",
    "SquaredGradients",
]
