"""Threefry-2x32, a counter-based generator that is the same everywhere."""

import keras
import numpy as np

from keras_lbreg.random.bits_to_floats import cast

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_ROUNDS = 20


def threefry2x32(key, counter, xp=keras.ops):
    """Encrypts pairs of 32-bit counters under a 64-bit key.

    A counter-based generator has no state: the random bits are a function of
    the key and the counter, so that every replica, every worker and a resumed
    run compute the same ones without telling each other. Threefry needs only
    addition, exclusive or and rotation, which is why numpy, TensorFlow (eager,
    graph, XLA) and JAX agree bit for bit.

    It takes some hundred small operations, whatever the number of counters:
    right for a handful of weights, wrong for whole gradients (see `normal`).

    Args:
        key: Pair of `uint32` scalars, or arrays that broadcast with `counter`.
        counter: Pair of `uint32` arrays of one shape.
        xp: Module that computes: `keras.ops` or `numpy`.

    Returns:
        Pair of `uint32` arrays of the counters' shape.

    Example:

    >>> counter = (np.arange(3, dtype="uint32"), np.zeros(3, "uint32"))
    >>> key = (np.zeros(3, "uint32"), np.full(3, 7, "uint32"))
    >>> first, second = threefry2x32(key, counter, xp=np)

    Reference:

    - [Salmon et al., 2011](https://doi.org/10.1145/2063384.2063405)
    """
    k0, k1 = key
    k2 = xp.bitwise_xor(xp.bitwise_xor(k0, k1), np.uint32(_PARITY))
    schedule = (k0, k1, k2)
    x0, x1 = xp.add(counter[0], k0), xp.add(counter[1], k1)
    for block in range(_ROUNDS // 4):
        for distance in _ROTATIONS[block % 2]:
            x0 = xp.add(x0, x1)
            x1 = xp.bitwise_xor(_rotate_left(x1, distance, xp), x0)
        x0 = xp.add(x0, schedule[(block + 1) % 3])
        x1 = xp.add(x1, schedule[(block + 2) % 3])
        x1 = xp.add(x1, np.uint32(block + 1))
    return x0, x1


def _rotate_left(x, distance, xp):
    return xp.bitwise_or(
        xp.left_shift(x, np.uint32(distance)),
        xp.right_shift(x, np.uint32(32 - distance)),
    )


def make_key(seed, step, xp=keras.ops):
    """The key of one optimizer update: the words `(seed, step)`.

    Args:
        seed: Non-negative integer below 2**31, or an integer tensor.
        step: Number of completed updates, an integer or an integer tensor.
        xp: Module that computes: `keras.ops` or `numpy`.

    Returns:
        Pair of `uint32` arrays of shape `(1,)`, ready for `threefry2x32`.

    Example:

    >>> key = make_key(seed=1, step=0, xp=np)

    Reference: see `threefry2x32`.
    """
    return tuple(
        xp.reshape(cast(word, "uint32", xp), (1,)) for word in (seed, step)
    )
