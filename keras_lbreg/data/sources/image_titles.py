"""What has to be said beside a number measured on a dataset's images."""

import numpy as np

TITLES = {
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "caltech101": "Caltech-101",
    "imagenet2012": "ImageNet (ILSVRC 2012)",
}


def stored_size(sides):
    """The length to which all images had been shrunk before, or `None`.

    A set of photographs comes in many sizes. Where the largest shorter side
    is also the shorter side of most images, somebody shrunk those that were
    larger to it.

    Args:
        sides: Length of every stored image's shorter side.

    Returns:
        The length in pixels, or `None` where the sizes differ.

    Example:

    >>> stored_size(np.array([104, 104, 98, 104]))
    104

    Reference: `image_title` prints it.
    """
    largest = int(sides.max())
    return largest if np.mean(sides == largest) > 0.5 else None


def image_title(source, image_size=None, sides=None, jpeg=False):
    """The title of a dataset, with all that was done to its images.

    Args:
        source: The dataset's name in TensorFlow Datasets.
        image_size: Height and width that the images were resized to, if they
            were.
        sides: Length of every stored image's shorter side, if they were
            resized.
        jpeg: Whether lossless images had been stored as JPEG.

    Example:

    >>> image_title("caltech101", (256, 256), np.array([200, 233, 180]))
    'Caltech-101, resized to 256x256'

    Reference: `keras_lbreg.data.Dataset`.
    """
    title = TITLES.get(source, source)
    if jpeg:
        title += " (JPEG)"
    if image_size is None:
        return title
    stored = stored_size(sides)
    if stored is not None:
        title += f" at {stored} px"
        if image_size == (stored, stored):
            return title
    return f"{title}, resized to {'x'.join(map(str, image_size))}"
