"""An `.npy` file that is written from front to back."""

import io
import math
import os

import numpy as np


class ArrayFile:
    """An array written in pieces, which another process can go on with.

    The file begins with the header of the whole array, so that it is a valid
    `.npy` file once all rows are there; how many are there already is told by
    its length.

    Args:
        path: The file. If it was begun for the same shape and type, it is
            gone on with, otherwise it is begun anew.
        shape: Shape of the whole array.
        dtype: Type of the values.

    Example:

    >>> file = ArrayFile("labels.npy", (1000,), "int32")
    >>> file.append(np.zeros(10, "int32"))
    >>> file.rows
    10

    Reference: `numpy.lib.format`.
    """

    def __init__(self, path, shape, dtype):
        self.dtype = np.dtype(dtype)
        self.row_bytes = math.prod(shape[1:]) * self.dtype.itemsize
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header,
            {
                "descr": np.lib.format.dtype_to_descr(self.dtype),
                "fortran_order": False,
                "shape": tuple(shape),
            },
        )
        self.header = header.getvalue()
        self._file = open(path, "a+b")  # noqa: SIM115
        self._file.seek(0)
        if self._file.read(len(self.header)) != self.header:
            self._file.truncate(0)
            self._file.write(self.header)
            self._file.flush()

    @property
    def rows(self):
        """Number of whole rows that are written."""
        size = os.fstat(self._file.fileno()).st_size
        return (size - len(self.header)) // self.row_bytes

    def keep(self, rows):
        """Cut off what is written beyond this number of rows."""
        self._file.truncate(len(self.header) + rows * self.row_bytes)

    def append(self, values):
        """Write the next rows."""
        self._file.write(np.ascontiguousarray(values, self.dtype))
        self._file.flush()

    def sync(self):
        """Make sure that all of it has reached the disk."""
        os.fsync(self._file.fileno())

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()
