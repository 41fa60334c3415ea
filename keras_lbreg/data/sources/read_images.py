"""Images and labels of a prepared dataset, batch by batch."""

import math
from numbers import Integral

BATCH = 1024
BATCH_BYTES = 2**25


def check_image_size(image_size):
    """The height and width as a tuple, or `None`.

    Args:
        image_size: A pair of positive integers, or `None`.

    Raises:
        ValueError: It is something else.
    """
    if image_size is None:
        return None
    if (
        not isinstance(image_size, tuple | list)
        or len(image_size) != 2
        or any(isinstance(n, bool) for n in image_size)
        or not all(isinstance(n, Integral) and n > 0 for n in image_size)
    ):
        raise ValueError(
            "Invalid value for argument `image_size`. Expected a height and a "
            "width in pixels, two integers above 0. Received: "
            f"image_size={image_size!r}"
        )
    return tuple(int(n) for n in image_size)


def sample_shape(builder, image_size):
    """Shape of an image once it is resized to `image_size`, if at all."""
    shape = builder.info.features["image"].shape
    return shape if image_size is None else (*image_size, shape[-1])


def count_samples(builder, splits):
    """Number of samples in the splits together."""
    return sum(builder.info.splits[split].num_examples for split in splits)


def image_batches(builder, splits, image_size=None, start=0):
    """Read splits one after the other, in the order they are stored in.

    With an `image_size` every image is squashed to it, bilinear and
    antialiased, and rounded to `uint8`: what Pillow's
    `image.resize((width, height), Image.Resampling.BILINEAR)` does.

    Args:
        builder: The dataset's builder.
        splits: Names of the splits.
        image_size: Height and width, or `None` for the images as they are.
        start: Number of samples to pass over.

    Yields:
        Arrays of images, `int32` labels, and `int32` lengths of the images'
        shorter sides as they are stored.

    Raises:
        ValueError: A file is damaged, or samples are missing.

    Example:

    >>> images, labels, sides = next(image_batches(builder, ["train"]))

    Reference: `tf.image.resize`.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def prepare(image, label):
        side = tf.reduce_min(tf.shape(image)[:2])
        if image_size is not None:
            image = tf.image.resize(image, image_size, antialias=True)
            image = tf.cast(tf.round(tf.clip_by_value(image, 0, 255)), "uint8")
        return image, tf.cast(label, "int32"), side

    size = BATCH_BYTES // math.prod(sample_shape(builder, image_size))
    for split in splits:
        count = count_samples(builder, [split])
        if start >= count > 0:
            start -= count
            continue
        dataset = builder.as_dataset(
            split=f"{split}[{start}:]" if start else split,
            as_supervised=True,
            shuffle_files=False,
            read_config=tfds.ReadConfig(
                try_autocache=False,
                # File after file: the order in which they are stored.
                interleave_cycle_length=1,
            ),
        ).map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        dataset = dataset.batch(min(max(size, 1), BATCH))
        read = start
        try:
            for batch in tfds.as_numpy(dataset.prefetch(1)):
                read += len(batch[1])
                yield batch
        except tf.errors.OpError as error:
            raise ValueError(
                f"Cannot read the split {split!r} of the dataset in "
                f"{builder.data_path}: {error.message}. Expected the files "
                f"that `lbreg data prepare {builder.name}` writes: delete the "
                "folder and prepare it again."
            ) from error
        if read != count or count == 0:
            raise ValueError(
                f"Invalid dataset {builder.name!r}. Expected "
                f"{count or 'some'} samples in split {split!r}. Received: "
                f"{read}"
            )
        start = 0
