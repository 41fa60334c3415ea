"""Mean and variance of images by channel."""

import math

import numpy as np

from keras_lbreg.data.rows import on_disk, spread_rows

# Of an array on disk.
SAMPLES = 10_000


def channel_moments(array):
    """Mean and variance of inputs, by channel.

    Of an array on disk, those of 10,000 samples that are evenly spread over it
    in the order it is stored in, the same ones every time: to read all of it
    would take longer than an epoch is worth.

    Args:
        array: Inputs, the sample axis first and the channels last.

    Returns:
        Two float lists as long as the last axis.

    Example:

    >>> mean, variance = channel_moments(dataset.x_train)

    Reference: `keras.layers.Normalization` takes them.
    """
    if on_disk(array):
        array = spread_rows(array, SAMPLES)
    channels = array.shape[-1]
    total, squares, count = 0.0, 0.0, 0
    # In pieces: a float64 copy of a whole image dataset may not fit.
    size = min(max(2**25 // math.prod(array.shape[1:]), 1), 4096)
    for start in range(0, len(array), size):
        piece = array[start : start + size].astype("float64")
        piece = piece.reshape(-1, channels)
        total = total + piece.sum(axis=0)
        squares = squares + (piece**2).sum(axis=0)
        count += len(piece)
    mean = total / count
    variance = np.maximum(squares / count - mean**2, 1e-12)
    return mean.tolist(), variance.tolist()
