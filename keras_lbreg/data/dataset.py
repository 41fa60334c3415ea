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
        for part in ("train", "val"):
            for name in (f"x_{part}", f"y_{part}"):
                object.__setattr__(self, name, np.asarray(getattr(self, name)))
            self._check_inputs(f"x_{part}")
            self._check_labels(f"x_{part}", f"y_{part}")
        if self.input_shape != self.x_val.shape[1:]:
            raise self._error(
                "x_train and x_val with samples of one shape",
                f"{self.input_shape} and {self.x_val.shape[1:]}",
            )
        if len(np.unique(self.y_train)) < 2:
            raise self._error(
                "at least two classes among the training labels",
                f"only class {self.y_train[0]}",
            )

    def _check_inputs(self, name):
        x = getattr(self, name)
        if x.ndim < 2 or 0 in x.shape:
            raise self._error(
                f"at least one sample in {name}, and an axis of samples "
                "before those of the inputs",
                f"{name} of shape {x.shape}",
            )
        if x.dtype.kind not in "iuf":
            raise self._error(
                f"integers or real floating-point numbers in {name}",
                f"dtype {x.dtype}",
            )
        wrong = 0
        if x.dtype.kind == "f":
            wrong = sum(int((~np.isfinite(piece)).sum()) for piece in pieces(x))
        if wrong:
            raise self._error(
                f"finite numbers in {name}",
                f"NaN or infinity in {wrong:,} of {x.size:,} values",
            )

    def _check_labels(self, x_name, y_name):
        x, y = getattr(self, x_name), getattr(self, y_name)
        if y.ndim != 1 or len(x) != len(y):
            raise self._error(
                f"one integer label for each sample of {x_name} in {y_name}",
                f"{x_name} of shape {x.shape}, {y_name} of shape {y.shape}",
            )
        wrong = f"dtype {y.dtype}" if y.dtype.kind not in "iu" else None
        if wrong is None and y.min() < 0:
            wrong = f"label {y.min()}"
        if wrong:
            raise self._error(f"integer labels from 0 in {y_name}", wrong)
        if y.max() >= self.classes:
            raise self._error(
                f"labels below {self.classes}, the number of classes, in "
                f"{y_name}",
                f"label {y.max()}",
            )

    def _error(self, expected, received):
        return ValueError(
            f"Invalid dataset {self.name!r}. Expected {expected}. Received: "
            f"{received}"
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


def pieces(array):
    """The array in parts: a copy of the whole may not fit into memory."""
    size = min(max(2**25 // math.prod(array.shape[1:]), 1), 4096)
    for start in range(0, len(array), size):
        yield array[start : start + size]
