"""An image classification dataset."""

import dataclasses
import math
import zlib

import numpy as np

from keras_lbreg.data.rows import on_disk, spread_rows

# Of a dataset on disk: enough for moments good to a tenth of a grey level, and
# to tell two datasets apart.
SAMPLED_FOR_MOMENTS = 10_000
SAMPLED_FOR_CHECKSUM = 1_000


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Training and validation arrays, and what has to be said about them.

    Args:
        name: Short name, such as `"cifar10"`.
        x_train: Training inputs, the sample axis first; `uint8` or floats. Of
            a dataset too large for memory a `numpy.memmap` or `Rows`.
        y_train: Integer labels from 0, one for each training sample.
        x_val: Validation inputs, of the training inputs' shape and dtype.
        y_val: Labels of the validation inputs.
        classes: Number of classes.
        title: The name to print beside a number, such as
            `"CIFAR-10 (JPEG)"`. Defaults to `name`.
        notes: One sentence on where the data comes from and how it was split.

    Raises:
        ValueError: There are no samples, fewer than two classes, or arrays
            that do not fit each other.

    Example:

    >>> dataset = load_dataset("digits")
    >>> dataset.x_train.shape, dataset.classes
    ((1024, 8, 8, 1), 10)

    Reference: `keras_lbreg.data.load_dataset` makes them.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    classes: int
    title: str = ""
    notes: str = ""

    def __post_init__(self):
        if not self.title:
            object.__setattr__(self, "title", self.name)
        for part in ("train", "val"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            if len(x) == 0 or len(x) != len(y) or y.ndim != 1:
                raise ValueError(
                    f"Invalid dataset {self.name!r}. Expected at least one "
                    f"sample and one integer label for each in x_{part} and "
                    f"y_{part}. Received: x_{part}.shape={x.shape}, "
                    f"y_{part}.shape={y.shape}"
                )
            if y.dtype.kind not in "iu" or y.min() < 0:
                raise ValueError(
                    f"Invalid dataset {self.name!r}. Expected integer labels "
                    f"from 0 in y_{part}. Received: dtype {y.dtype}, smallest "
                    f"{y.min()}"
                )
            if y.max() >= self.classes:
                raise ValueError(
                    f"Invalid dataset {self.name!r}. Expected labels below "
                    f"{self.classes}, the number of classes, in y_{part}. "
                    f"Received: {y.max()}"
                )
        if self.x_train.shape[1:] != self.x_val.shape[1:]:
            raise ValueError(
                f"Invalid dataset {self.name!r}. Expected x_train and x_val "
                "with samples of one shape. Received: "
                f"{self.x_train.shape[1:]} and {self.x_val.shape[1:]}"
            )
        if len(np.unique(self.y_train)) < 2:
            raise ValueError(
                f"Invalid dataset {self.name!r}. Expected at least two "
                "classes among the training labels. Received: only class "
                f"{self.y_train[0]}"
            )

    @property
    def input_shape(self):
        """Shape of one sample."""
        return tuple(self.x_train.shape[1:])

    def moments(self):
        """Mean and variance of the training inputs, by channel.

        Of a dataset on disk, those of 10,000 samples that are evenly spread
        over the training samples in the order they are stored in, the same
        ones every time.

        Returns:
            Two float lists as long as the last axis.
        """
        samples = self.x_train
        if on_disk(samples):
            samples = spread_rows(samples, SAMPLED_FOR_MOMENTS)
        channels = samples.shape[-1]
        total, squares, count = 0.0, 0.0, 0
        # In pieces: a float64 copy of a whole image dataset may not fit.
        size = min(max(2**25 // math.prod(samples.shape[1:]), 1), 4096)
        for start in range(0, len(samples), size):
            piece = samples[start : start + size].astype("float64")
            piece = piece.reshape(-1, channels)
            total = total + piece.sum(axis=0)
            squares = squares + (piece**2).sum(axis=0)
            count += len(piece)
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 1e-12)
        return mean.tolist(), variance.tolist()

    def checksum(self):
        """A number that another dataset hardly has (CRC-32 of the arrays).

        Of inputs on disk only 1,000 evenly spread samples are looked at.
        """
        checksum = 0
        for array in (self.x_train, self.y_train, self.x_val, self.y_val):
            if on_disk(array):
                array = spread_rows(array, SAMPLED_FOR_CHECKSUM)[:]
            checksum = zlib.crc32(np.ascontiguousarray(array), checksum)
        return checksum
