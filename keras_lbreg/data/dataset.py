"""A classification dataset in arrays."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Training and validation arrays, and what has to be said about them.

    Args:
        name: Short name, such as `"cifar10"`.
        x_train, x_val: Inputs, the sample axis first; integers or floats.
        y_train, y_val: Integer labels from 0, one for each sample.
        classes: Number of classes.
        title: The name to print beside a number, such as `"CIFAR-10"`.
            Defaults to `name`.
        notes: One sentence on where the data comes from and how it was split.

    Raises:
        ValueError: There are no samples, fewer than two classes, numbers that
            are not finite, or arrays that do not fit each other.

    Example:

    >>> dataset = load_dataset("digits")
    >>> dataset.x_train.shape, dataset.classes
    ((1024, 8, 8, 1), 10)
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
        for name in ("x_train", "y_train", "x_val", "y_val"):
            object.__setattr__(self, name, np.asarray(getattr(self, name)))
        # One after the other: each takes for granted what those before say.
        for is_wrong, expected, received in self._checks():
            if is_wrong:
                raise invalid_dataset(self.name, expected, received)

    def _checks(self):
        for part in ("train", "val"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            yield (
                x.ndim < 2 or 0 in x.shape,
                f"at least one sample in x_{part}, and an axis of samples "
                "before those of the inputs",
                f"x_{part} of shape {x.shape}",
            )
            yield (
                x.dtype.kind not in "iuf",
                f"integers or real floating-point numbers in x_{part}",
                f"dtype {x.dtype}",
            )
            floats = pieces(x) if x.dtype.kind == "f" else ()
            wrong = sum(int((~np.isfinite(piece)).sum()) for piece in floats)
            yield (
                wrong,
                f"finite numbers in x_{part}",
                f"NaN or infinity in {wrong:,} of {x.size:,} values",
            )
            yield (
                y.ndim != 1 or len(x) != len(y),
                f"one integer label for each sample of x_{part} in y_{part}",
                f"x_{part} of shape {x.shape}, y_{part} of shape {y.shape}",
            )
            expected = f"integer labels from 0 in y_{part}"
            yield y.dtype.kind not in "iu", expected, f"dtype {y.dtype}"
            yield y.min() < 0, expected, f"label {y.min()}"
            yield (
                y.max() >= self.classes,
                f"labels below {self.classes}, the number of classes, in "
                f"y_{part}",
                f"label {y.max()}",
            )
        yield (
            self.input_shape != self.x_val.shape[1:],
            "x_train and x_val with samples of one shape",
            f"{self.input_shape} and {self.x_val.shape[1:]}",
        )
        yield (
            len(np.unique(self.y_train)) < 2,
            "at least two classes among the training labels",
            f"only class {self.y_train[0]}",
        )

    @property
    def input_shape(self):
        """Shape of one sample."""
        return tuple(self.x_train.shape[1:])

    def moments(self):
        """Mean and variance of the training inputs, two lists by channel."""
        total, squares, count = 0.0, 0.0, 0
        for piece in pieces(self.x_train):
            piece = piece.astype("float64").reshape(-1, piece.shape[-1])
            total = total + piece.sum(axis=0)
            squares = squares + (piece**2).sum(axis=0)
            count += len(piece)
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 1e-12)
        return mean.tolist(), variance.tolist()


def invalid_dataset(name, expected, received):
    return ValueError(
        f"Invalid dataset {name!r}. Expected {expected}. Received: {received}"
    )


def pieces(array):
    """The array in parts: a copy of the whole may not fit into memory."""
    size = min(max(2**25 // math.prod(array.shape[1:]), 1), 4096)
    for start in range(0, len(array), size):
        yield array[start : start + size]
