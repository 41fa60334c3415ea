"""Plain data as a list of arrays, which can travel and cannot do anything."""

import json

import numpy as np

ARRAY = "__array__"


def to_arrays(value):
    """Return plain data as a list of NumPy arrays.

    Args:
        value: `None`, a boolean, a number, a string, a NumPy array, or a list
            or a dictionary with strings as keys of such values. A tuple will
            be a list.

    Returns:
        A list of arrays: the JSON text, then the arrays that it refers to.

    Raises:
        TypeError: `value` holds anything else.

    Example:

    >>> from_arrays(to_arrays({"epoch": 3, "state": [np.ones(2)]}))
    {'epoch': 3, 'state': [array([1., 1.])]}

    Reference: `from_arrays` is the way back.
    """
    arrays = []

    def refer_to(part):
        if not isinstance(part, np.ndarray) or part.dtype.hasobject:
            raise TypeError(
                "Invalid value for argument `value`. Expected plain data: "
                "numbers, strings, NumPy arrays, lists and dictionaries. "
                f"Received: {type(part).__name__}"
            )
        arrays.append(part)
        return {ARRAY: len(arrays) - 1}

    text = json.dumps(value, default=refer_to)
    return [np.frombuffer(text.encode(), "uint8"), *arrays]


def from_arrays(arrays):
    """Return the plain data that `to_arrays` was given."""
    text, *arrays = arrays

    def resolve(part):
        return arrays[part[ARRAY]] if part.keys() == {ARRAY} else part

    return json.loads(text.tobytes(), object_hook=resolve)
