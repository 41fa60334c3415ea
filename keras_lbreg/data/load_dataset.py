"""Load a dataset by name or file."""

from numbers import Integral

# Bytes of images.
MEMORY_LIMIT = 8 * 2**30


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
        raise ValueError(
            "Invalid value for argument `name`. Expected the name of a "
            f"dataset or an .npz file. Received: name={name!r}"
        )
    image_size = check_image_size(image_size)
    if name == "digits":
        from keras_lbreg.data.digits import load_digits

        return load_digits()
    if name.endswith(".npz"):
        from keras_lbreg.data.npz import load_npz

        return load_npz(name)
    from keras_lbreg.data.tfds import load_tensorflow_dataset

    return load_tensorflow_dataset(name, data_dir, image_size, memory_limit)


def check_image_size(image_size):
    """The height and width as a tuple, or `None`."""
    if image_size is None:
        return None
    is_pair = isinstance(image_size, tuple | list) and len(image_size) == 2
    if not is_pair or not all(
        isinstance(n, Integral) and not isinstance(n, bool) and n > 0
        for n in image_size
    ):
        raise ValueError(
            "Invalid value for argument `image_size`. Expected a height and a "
            "width in pixels, two integers above 0. Received: "
            f"image_size={image_size!r}"
        )
    return tuple(int(n) for n in image_size)
