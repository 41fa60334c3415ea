"""Chosen rows of an array that stays on disk."""

import numpy as np


class Rows:
    """Some rows of an array, read when they are asked for.

    `array[numbers]` copies every chosen row into memory, which an array that
    was left on disk for its size does not allow. This looks like that copy:

    ```
    Rows(array, numbers)[key] == array[numbers][key]
    ```

    Args:
        array: A `numpy.memmap` or `Rows`.
        numbers: Numbers of the rows, in the order wanted.

    Example:

    >>> half = Rows(images, np.arange(0, len(images), 2))
    >>> half[:3].shape
    (3, 256, 256, 3)

    Reference: `numpy.memmap`.
    """

    def __init__(self, array, numbers):
        self.array = array
        self.numbers = np.asarray(numbers)

    @property
    def shape(self):
        """Shape of the array that this stands for."""
        return (len(self.numbers), *self.array.shape[1:])

    @property
    def ndim(self):
        """Number of axes."""
        return self.array.ndim

    @property
    def dtype(self):
        """Type of the values."""
        return self.array.dtype

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, key):
        return self.array[self.numbers[key]]


def on_disk(array):
    """Whether the values are read from a file as they are asked for."""
    return isinstance(array, np.memmap | Rows)


def choose_rows(array, chosen):
    """The rows where `chosen` is true, on disk if `array` is.

    Args:
        array: An array or `Rows`.
        chosen: Bool for each row.

    Returns:
        A copy in memory, or `Rows` of an array on disk.

    Example:

    >>> choose_rows(np.arange(4), np.array([True, False, False, True]))
    array([0, 3])

    Reference: `Rows`.
    """
    if on_disk(array):
        return Rows(array, np.flatnonzero(chosen))
    return array[chosen]


def spread_rows(array, count):
    """At most `count` rows of an array on disk, evenly spread over it.

    Row `i` of the result is row `floor(i n / count)` of the `n` there are: a
    sample that is the same every time and reads the file in order.
    """
    if len(array) <= count:
        return array
    return Rows(array, np.arange(count) * len(array) // count)
