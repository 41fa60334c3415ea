"""Large-batch training for Keras 3.

Ghost batch normalization, distinctive regularization (DReg), annealed gradient
noise and GradientMix, each a line in a model you already have.
"""

from keras_lbreg._version import __version__

__all__ = ["__version__"]
