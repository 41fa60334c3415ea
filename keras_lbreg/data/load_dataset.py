"""Load a dataset by name or file."""

import numpy as np

from keras_lbreg.checks import check_positive_number, invalid
from keras_lbreg.data.augmentation import check_size
from keras_lbreg.data.dataset import Dataset
from keras_lbreg.data.npz import load_npz
from keras_lbreg.data.tfds import load_tensorflow_dataset

# Bytes of images.
MEMORY_LIMIT = 8 * 2**30

# A power of two: every batch size that is one divides the training set.
DIGITS_TO_TRAIN = 1024


def load_dataset(
    name, data_dir=None, image_size=None, memory_limit=MEMORY_LIMIT
):
    """Load an image classification dataset into memory.

    Args:
        name: `"digits"`, which is always there; an `.npz` file; a dataset
            prepared by TensorFlow Datasets; or `"caltech101_3to1"`, the images
            of `"caltech101"` in the 3:1 split of the gradient-noise paper.
        data_dir: Folder of the prepared datasets. Defaults to the
            environment variable `LBREG_DATA_DIR`, or TensorFlow Datasets'
            default.
        image_size: Height and width to resize a prepared dataset's images to
            where they differ in size; the aspect ratio is not kept. Ignored
            where they do not differ.
        memory_limit: Bytes that a prepared dataset's images may take.
            Defaults to 8 GiB.

    Returns:
        A `keras_lbreg.data.Dataset`.

    Raises:
        ValueError: There is no such dataset, with the command that prepares
            it, its content is of no use, or it does not fit into memory.

    Example:

    >>> dataset = keras_lbreg.data.load_dataset("digits")
    >>> dataset.x_train.shape
    (1024, 8, 8, 1)

    Reference: https://www.tensorflow.org/datasets
    """
    if not isinstance(name, str) or not name:
        raise invalid("name", "the name of a dataset or an .npz file", name)
    if image_size is not None:
        image_size = check_size("image_size", image_size)
    check_positive_number("memory_limit", memory_limit)
    if name == "digits":
        return load_digits()
    if name.endswith(".npz"):
        return load_npz(name)
    return load_tensorflow_dataset(name, data_dir, image_size, memory_limit)


def load_digits():
    """The test part of https://archive.ics.uci.edu/dataset/80, in two."""
    from sklearn.datasets import load_digits as sklearn_digits
    from sklearn.model_selection import train_test_split

    digits = sklearn_digits()
    images = digits.images[..., np.newaxis].astype("uint8")
    x_train, x_val, y_train, y_val = train_test_split(
        images,
        digits.target.astype("int32"),
        train_size=DIGITS_TO_TRAIN,
        stratify=digits.target,
        random_state=0,
    )
    return Dataset(
        "digits",
        x_train,
        y_train,
        x_val,
        y_val,
        classes=10,
        title="Digits (8x8)",
        notes=(
            "The 1,797 handwritten digits of scikit-learn in a fixed "
            "stratified split."
        ),
    )
