"""Batch normalization as the papers have it."""

import keras


def batch_normalization(name):
    """A `BatchNormalization` with momentum 0.9 and epsilon 1e-5."""
    return keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=name
    )
