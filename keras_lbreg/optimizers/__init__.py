"""Optimizers, and wrappers that work on the reduced gradient."""

from keras_lbreg.optimizers.lars import LARS

__all__ = ["LARS"]
