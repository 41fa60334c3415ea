"""Seeds that a checkpoint can carry."""

import numbers
import random

_LIMIT = 2**31


def resolve_seed(seed):
    """Returns `seed`, or a fresh random one if it is None.

    A random one comes from Python's generator, as the default seeds of Keras
    do: `keras.utils.set_random_seed` makes it repeatable.

    Args:
        seed: None, or an integer from 0 to 2**31 - 1: it has to fit the int32
            variable in which JAX stores it.

    Returns:
        Integer.

    Raises:
        ValueError: If `seed` is not such an integer.

    Example:

    >>> resolve_seed(7)
    7

    Reference: none.
    """
    if seed is None:
        return random.randrange(_LIMIT)
    is_integer = isinstance(seed, numbers.Integral)
    if isinstance(seed, bool) or not is_integer or not 0 <= seed < _LIMIT:
        raise ValueError(
            "Invalid value for argument `seed`. Expected None or an integer "
            f"from 0 to 2**31 - 1. Received: seed={seed}"
        )
    return int(seed)
