"""An image classification dataset."""

import dataclasses

import numpy as np

from keras_lbreg.data.augmentation import Augmentation
from keras_lbreg.data.channel_moments import channel_moments


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Training and validation arrays, and what has to be said about them.

    Args:
        name: Short name, such as `"cifar10"`.
        x_train: Training inputs, the sample axis first; `uint8` or floats. Of
            a dataset too large for memory a `numpy.memmap` or `Rows`.
        y_train: Integer labels from 0, one for each training sample.
        x_val: Validation inputs, of the training inputs' dtype and of
            `input_shape`.
        y_val: Labels of the validation inputs.
        classes: Number of classes.
        title: The name to print beside a number, such as
            `"CIFAR-10 (JPEG)"`. Defaults to `name`.
        notes: One sentence on where the data comes from and how it was split.
        augmentation: The `Augmentation` of training images, or None.
        pixel_moments: Mean and variance by channel that networks normalise
            with, in place of those of the training inputs; or None.

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
    augmentation: Augmentation | None = None
    pixel_moments: tuple | None = None

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
        if self.input_shape != self.x_val.shape[1:]:
            raise ValueError(
                f"Invalid dataset {self.name!r}. Expected x_train and x_val "
                "with samples of one shape. Received: "
                f"{self.input_shape} and {self.x_val.shape[1:]}"
            )
        if len(np.unique(self.y_train)) < 2:
            raise ValueError(
                f"Invalid dataset {self.name!r}. Expected at least two "
                "classes among the training labels. Received: only class "
                f"{self.y_train[0]}"
            )

    @property
    def input_shape(self):
        """Shape of one sample, as a network sees it."""
        shape = tuple(self.x_train.shape[1:])
        if self.augmentation is not None:
            shape = self.augmentation.output_shape(shape)
        return shape

    def augmented(self, augmentation):
        """The dataset with random crops and flips of its training images.

        Args:
            augmentation: An `Augmentation`. Validation images are cut to the
                same size.

        Returns:
            A `Dataset`.
        """
        return dataclasses.replace(
            self,
            augmentation=augmentation,
            x_val=augmentation.of_validation(self.x_val),
        )

    def places(self, count, key):
        """Random numbers for the augmentation of a batch.

        Args:
            count: Samples in the batch.
            key: Non-negative integers that name the batch.

        Returns:
            An array of `count` rows, or None without an augmentation.
        """
        if self.augmentation is None:
            return None
        return self.augmentation.places(
            count, self.x_train.shape[1:], np.random.default_rng(key)
        )

    def training_inputs(self, numbers, places, part=slice(None)):
        """Training inputs of a batch, or of a part of it.

        Args:
            numbers: Numbers of the batch's samples.
            places: What `places` returned for the batch.
            part: A slice of the batch.

        Returns:
            An array.
        """
        x = self.x_train[numbers[part]]
        if places is None:
            return x
        return self.augmentation.cut(x, places[part])

    def moments(self):
        """Mean and variance of the training inputs, by channel.

        Returns:
            Two float lists as long as the last axis.
        """
        if self.pixel_moments is not None:
            mean, variance = self.pixel_moments
            return list(mean), list(variance)
        return channel_moments(self.x_train)
