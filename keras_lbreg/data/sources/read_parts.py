"""The parts of a dataset: what is read into one array."""

import numpy as np

from keras_lbreg.data.sources.prepared import SPLIT_ANEW
from keras_lbreg.data.sources.read_images import (
    count_samples,
    image_batches,
    sample_shape,
)


def make_parts(name, builder, image_size, validation):
    """What to read of a dataset, and how.

    Args:
        name: The dataset's name.
        builder: Its builder, or that of the dataset it is made from.
        image_size: Height and width to resize to, or `None`.
        validation: Name of the validation split.

    Returns:
        By part, `"train"` and `"val"` or `"all"`, a dictionary as
        `write_cache` takes it.

    Example:

    >>> make_parts("mnist", builder, None, "test")["val"]["shape"]
    (10000, 28, 28, 1)

    Reference: `image_batches` does the reading.
    """
    if name in SPLIT_ANEW:
        parts = {"all": ["train", validation]}
    else:
        parts = {"train": ["train"], "val": [validation]}

    def describe(splits):
        return {
            "shape": (
                count_samples(builder, splits),
                *sample_shape(builder, image_size),
            ),
            "dtype": np.dtype(builder.info.features["image"].np_dtype),
            "read": lambda start: image_batches(
                builder, splits, image_size, start
            ),
        }

    return {key: describe(splits) for key, splits in parts.items()}


def read_part(part):
    """Images, labels and shorter sides of a part, in memory."""
    # Filled in place: a list of batches would need the memory twice.
    count = part["shape"][0]
    arrays = [
        np.empty(part["shape"], part["dtype"]),
        np.empty(count, "int32"),
        np.empty(count, "int32"),
    ]
    position = 0
    for batch in part["read"](0):
        end = position + len(batch[0])
        for array, values in zip(arrays, batch, strict=True):
            array[position:end] = values
        position = end
    return arrays
