"""Load a dataset by name or file."""

from keras_lbreg.data.sources.digits import load_digits
from keras_lbreg.data.sources.npz import load_npz
from keras_lbreg.data.sources.read_images import check_image_size
from keras_lbreg.data.sources.tensorflow_datasets import (
    MEMORY_LIMIT,
    load_tensorflow_dataset,
)


def load_dataset(
    name,
    data_dir=None,
    image_size=None,
    memory_limit=MEMORY_LIMIT,
    in_memory=False,
):
    """Load an image classification dataset, into memory if it fits.

    Args:
        name: `"digits"`, which is always there; the path of an `.npz` file;
            the name of a dataset prepared by TensorFlow Datasets; or
            `"caltech101_3to1"`, the images of `"caltech101"` in the 3:1 split
            of the gradient-noise paper.
        data_dir: Folder of the prepared datasets. Defaults to the
            environment variable `LBREG_DATA_DIR`, or TensorFlow Datasets'
            default.
        image_size: Height and width to resize a prepared dataset's images to
            where they differ in size; the aspect ratio is not kept. Ignored
            where they do not differ.
        memory_limit: Bytes that a prepared dataset's images may take in
            memory. Larger ones are written to files once, in this size, and
            read from there as they are indexed.
        in_memory: Whether larger ones are refused instead.

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
    image_size = check_image_size(image_size)
    if name == "digits":
        return load_digits()
    if name.endswith(".npz"):
        return load_npz(name)
    return load_tensorflow_dataset(
        name, data_dir, image_size, memory_limit, in_memory
    )
