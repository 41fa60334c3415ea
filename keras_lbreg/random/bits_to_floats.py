"""Uniform and normal numbers from random bits."""

import math

import keras
import numpy as np


def cast(x, dtype, xp=keras.ops):
    """`keras.ops.cast`, which numpy spells differently."""
    if xp is np:
        return np.asarray(x).astype(dtype)
    return keras.ops.cast(x, dtype)


def uniform(bits, xp=keras.ops):
    """Maps 32 random bits to a float32 in (0, 1], so that its log is finite.

    `u = (bits + 1/2) / 2**32`, rounded to float32.

    Args:
        bits: `uint32` array.
        xp: Module that computes: `keras.ops` or `numpy`.

    Returns:
        `float32` array of the same shape.

    Example:

    >>> uniform(np.array([0, 2**32 - 1], "uint32"), xp=np)

    Reference: see `threefry2x32`.
    """
    scale, half_step = np.float32(2.0**-32), np.float32(2.0**-33)
    return xp.add(xp.multiply(cast(bits, "float32", xp), scale), half_step)


def box_muller(u, v, xp=keras.ops):
    """Turns two uniforms into two independent standard normal numbers.

    `z = sqrt(-2 log u) cos(2 pi v)`, and the same with the sine.

    Args:
        u: `float32` array with values in (0, 1].
        v: `float32` array of the same shape.
        xp: Module that computes: `keras.ops` or `numpy`.

    Returns:
        Pair of `float32` arrays of the same shape.

    Example:

    >>> z, other = box_muller(np.float32([0.5]), np.float32([0.25]), xp=np)

    Reference:

    - [Box and Muller, 1958](https://doi.org/10.1214/aoms/1177706645)
    """
    radius = xp.sqrt(xp.multiply(np.float32(-2.0), xp.log(u)))
    angle = xp.multiply(np.float32(2.0 * math.pi), v)
    return (
        xp.multiply(radius, xp.cos(angle)),
        xp.multiply(radius, xp.sin(angle)),
    )
