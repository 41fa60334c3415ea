"""Random crops and flips of image batches."""

import dataclasses
from numbers import Integral

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from keras_lbreg.checks import check_non_negative_int, invalid, is_number


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Zero padding, a random crop and a random horizontal flip.

    Each training image of `(h, w, c)` is padded by `pad` black pixels on every
    side, a rectangle of `crop` is cut out at one of the
    `(h + 2 pad - crop_h + 1) (w + 2 pad - crop_w + 1)` places with equal
    probability, and with `flip` it is mirrored left to right with probability
    1/2. Validation images get the middle of the image, unpadded and unflipped.

    It is called with a whole batch, a NumPy array, on every backend: the same
    generator gives the same images, so that a resumed run sees what an
    uninterrupted one would.

    Args:
        pad: Integer, at least 0: pixels on each side. Defaults to `0`.
        crop: Height and width to cut out, or None for those of the image.
        flip: Whether to mirror half of the images. Defaults to `False`.

    Raises:
        ValueError: A number is out of its range, or the crop is larger than
            the images.

    Example:

    >>> augment = Augmentation(pad=4, flip=True)
    >>> generator = np.random.default_rng(0)
    >>> augment(images, generator).shape == images.shape
    True

    Reference: the usual augmentation of CIFAR, He et al. 2016, section 4.2,
    https://arxiv.org/abs/1512.03385
    """

    pad: int = 0
    crop: tuple | None = None
    flip: bool = False

    def __post_init__(self):
        check_non_negative_int("pad", self.pad)
        if self.crop is not None:
            object.__setattr__(self, "crop", check_size("crop", self.crop))

    def output_shape(self, shape):
        """The shape of one augmented image, from that of a stored one."""
        if len(shape) != 3:
            raise ValueError(
                "Augmentation is for images. Expected samples of shape "
                f"(height, width, channels). Received: {tuple(shape)}"
            )
        crop = self.crop or tuple(shape[:2])
        if any(c > s for c, s in zip(crop, shape[:2], strict=True)):
            expected = f"at most the size of the images, {tuple(shape[:2])}"
            raise invalid("crop", expected, self.crop)
        return (*crop, shape[2])

    def __call__(self, images, generator):
        """Draw for each image where to cut and whether to mirror, and do it.

        Args:
            images: Array `(n, h, w, c)`.
            generator: A `numpy.random.Generator`.
        """
        rows, columns, _ = self.output_shape(images.shape[1:])
        count, height, width, channels = images.shape
        height, width = height + 2 * self.pad, width + 2 * self.pad
        sizes = [height - rows + 1, width - columns + 1, 1 + self.flip]
        top, left, mirrored = generator.integers(sizes, size=(count, 3)).T
        if self.pad:
            margin = (self.pad, self.pad)
            images = np.pad(images, ((0, 0), margin, margin, (0, 0)))
        # Pixels of a row side by side: a window is then rows of bytes.
        windows = sliding_window_view(
            images.reshape(count, height, width * channels),
            (rows, columns * channels),
            axis=(1, 2),
        )
        cropped = windows[np.arange(count), top, left * channels]
        cropped = cropped.reshape(count, rows, columns, channels)
        chosen = mirrored.astype(bool)
        cropped[chosen] = cropped[chosen][:, :, ::-1]
        return cropped

    def of_validation(self, images):
        """The middle of each image, as a view where nothing is cut off."""
        rows, columns, _ = self.output_shape(images.shape[1:])
        top = (images.shape[1] - rows) // 2
        left = (images.shape[2] - columns) // 2
        return images[:, top : top + rows, left : left + columns]

    def describe(self):
        """The augmentation in words, for tables and manifests."""
        parts = [f"pad {self.pad}"] if self.pad else []
        if self.crop is not None:
            parts.append(f"random crop {self.crop[0]}x{self.crop[1]}")
        elif self.pad:
            parts.append("random crop")
        parts += ["horizontal flip"] if self.flip else []
        return ", ".join(parts) or "none"


def check_size(name, size):
    """The height and the width as a tuple."""
    is_pair = isinstance(size, tuple | list) and len(size) == 2
    if not is_pair or not all(is_number(n, Integral) and n > 0 for n in size):
        expected = "a height and a width in pixels, two integers above 0"
        raise invalid(name, expected, size)
    return tuple(map(int, size))
