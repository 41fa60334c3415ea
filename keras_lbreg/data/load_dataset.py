"""Load a dataset by name or file."""

from keras_lbreg.data.sources.digits import load_digits
from keras_lbreg.data.sources.npz import load_npz
from keras_lbreg.data.sources.tensorflow_datasets import (
    load_tensorflow_dataset,
)


def load_dataset(name, data_dir=None, image_size=None):
    """Load an image classification dataset into memory.

    Args:
        name: `"digits"`, which is always there; the path of an `.npz` file;
            or the name of a dataset prepared by TensorFlow Datasets.
        data_dir: Folder of the prepared datasets. Defaults to the
            environment variable `LBREG_DATA_DIR`, or TensorFlow Datasets'
            default.
        image_size: Height and width to resize a prepared dataset's images to
            where they differ in size. Ignored where they do not.

    Returns:
        A `Dataset`.

    Raises:
        ValueError: There is no such dataset, with the command that prepares
            it, or its content is of no use.

    Example:

    >>> dataset = keras_lbreg.data.load_dataset("digits")
    >>> dataset.x_train.shape
    (1024, 8, 8, 1)

    Reference: https://www.tensorflow.org/datasets
    """
    if not isinstance(name, str) or not name:
        raise ValueError(
            "Invalid value for argument `name`. Expected the name of a "
            f"dataset or an .npz file. Received: name={name!r}"
        )
    if name == "digits":
        return load_digits()
    if name.endswith(".npz"):
        return load_npz(name)
    return load_tensorflow_dataset(name, data_dir, image_size)
