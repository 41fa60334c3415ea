"""Image classification datasets prepared by TensorFlow Datasets."""

import math
import pathlib

import numpy as np

from keras_lbreg.checks import invalid
from keras_lbreg.data.dataset import Dataset, invalid_dataset
from keras_lbreg.data.prepared import (
    SPLIT_ANEW,
    data_folder,
    find_prepared,
    not_prepared,
    source_name,
)

VALIDATION_SPLITS = ("validation", "test", "val")

TITLES = {
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "caltech101": "Caltech-101",
    "imagenet2012": "ImageNet (ILSVRC 2012)",
}

# Images by which it is told how all are stored.
LOOKED_AT = 64

BATCH = 1024
BATCH_BYTES = 2**25


def load_tensorflow_dataset(name, data_dir, image_size, memory_limit):
    """Read a prepared dataset (see `load_dataset`), without the network."""
    version = find_prepared(name, data_dir)
    if version is None:
        raise ValueError(not_prepared(name, data_dir))
    tfds = import_tfds(name)
    try:
        builder = tfds.builder_from_directory(version)
    except Exception as error:
        # Whatever a damaged file makes its readers raise.
        raise damaged(version, error) from error
    info = builder.info
    check_features(name, info, image_size)
    if None not in info.features["image"].shape:
        # Images of one size are kept as they are.
        image_size = None
    validation = validation_split(name, info)
    check_memory(name, info, ["train", validation], image_size, memory_limit)
    if name in SPLIT_ANEW:
        x, y = read(tfds, builder, ["train", validation], image_size)
        trains = three_to_one(y)
        x_train, y_train = x[trains], y[trains]
        x_val, y_val = x[~trains], y[~trains]
        split = (
            f"its train and {validation} splits together split 3:1 anew in "
            f"each class, into {len(y_train):,} training and {len(y_val):,} "
            "validation images"
        )
    else:
        x_train, y_train = read(tfds, builder, ["train"], image_size)
        x_val, y_val = read(tfds, builder, [validation], image_size)
        split = f"validated on its {validation} split"
    source = source_name(name)
    title = TITLES.get(source, source) + what_was_done(tfds, builder)
    resized = ""
    if image_size is not None:
        title += f", resized to {image_size[0]}x{image_size[1]}"
        resized = f" resized to {image_size}"
    return Dataset(
        name,
        x_train,
        y_train,
        x_val,
        y_val,
        classes=info.features["label"].num_classes,
        title=title,
        notes=f"{info.full_name} of TensorFlow Datasets{resized}, {split}.",
    )


def what_was_done(tfds, builder):
    """What a title has to say of how images are stored, or `""`.

    Of images of one size that they are JPEG files, which have lost something;
    of photographs of many sizes that somebody has shrunk all to one side.
    """
    import tensorflow as tf

    samples = builder.as_dataset(
        split="train",
        decoders={"image": tfds.decode.SkipDecoding()},
        shuffle_files=False,
    )
    images = [sample["image"] for sample in samples.take(LOOKED_AT)]
    if None not in builder.info.features["image"].shape:
        lossy = all(bool(tf.io.is_jpeg(image)) for image in images)
        return " (JPEG)" if lossy else ""
    shapes = (tf.io.decode_image(image).shape[:2] for image in images)
    sides = set(map(min, shapes))
    return f" at {sides.pop()} px" if len(sides) == 1 else ""


def read(tfds, builder, splits, image_size):
    """Images and labels of splits one after the other, in stored order."""
    import tensorflow as tf

    def prepare(image, label):
        if image_size is not None:
            # As Pillow's `resize` with `Image.Resampling.BILINEAR`.
            image = tf.image.resize(image, image_size, antialias=True)
            image = tf.cast(tf.round(tf.clip_by_value(image, 0, 255)), "uint8")
        return image, tf.cast(label, "int32")

    shape = sample_shape(builder.info, image_size)
    size = min(max(BATCH_BYTES // math.prod(shape), 1), BATCH)
    # Filled in place: a list of batches would need the memory twice.
    count = count_samples(builder.info, splits)
    images = np.empty((count, *shape), builder.info.features["image"].np_dtype)
    labels = np.empty(count, "int32")
    position = 0
    for split in splits:
        end = position + count_samples(builder.info, [split])
        dataset = builder.as_dataset(
            split=split,
            as_supervised=True,
            shuffle_files=False,
            read_config=tfds.ReadConfig(
                try_autocache=False,
                # File after file: the order in which they are stored.
                interleave_cycle_length=1,
            ),
        ).map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        try:
            for x, y in tfds.as_numpy(dataset.batch(size).prefetch(1)):
                images[position : position + len(y)] = x
                labels[position : position + len(y)] = y
                position += len(y)
        except (tf.errors.OpError, ValueError) as error:
            raise damaged(builder.data_path, error) from error
        if position != end:
            error = f"the split {split!r} lacks {end - position} samples"
            raise damaged(builder.data_path, error)
    return images, labels


def sample_shape(info, image_size):
    shape = info.features["image"].shape
    return shape if image_size is None else (*image_size, shape[-1])


def count_samples(info, splits):
    return sum(info.splits[split].num_examples for split in splits)


def check_memory(name, info, splits, image_size, memory_limit):
    item = np.dtype(info.features["image"].np_dtype).itemsize
    needed = count_samples(info, splits) * item
    needed *= math.prod(sample_shape(info, image_size))
    if needed > memory_limit:
        raise ValueError(
            f"The images of {name!r} take {needed / 1e9:,.1f} GB, more than "
            f"the {memory_limit / 1e9:,.1f} GB of `memory_limit`: choose a "
            "smaller `image_size`, or write a `keras_lbreg.Workload` that "
            "reads them by `tf.data`."
        )


def damaged(path, error):
    return ValueError(
        f"Cannot read the prepared dataset in {path}: {error}. Expected the "
        "files that `lbreg data prepare` writes: delete the folder and prepare "
        "it again."
    )


def validation_split(name, info):
    splits = [split for split in VALIDATION_SPLITS if split in info.splits]
    if "train" not in info.splits or not splits:
        expected = f"a `train` split and one of {list(VALIDATION_SPLITS)}"
        raise invalid_dataset(name, expected, sorted(info.splits))
    return splits[0]


def check_features(name, info, image_size):
    supervised = info.supervised_keys
    if supervised != ("image", "label"):
        expected = (
            "an image classification dataset, whose supervised keys are "
            "('image', 'label')"
        )
        raise invalid_dataset(name, expected, supervised)
    if image_size is None and None in info.features["image"].shape:
        expected = (
            "a height and a width to resize to: the images of "
            f"{name!r} differ in size"
        )
        raise invalid("image_size", expected, None)


def import_tfds(name):
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"Reading the dataset {name!r} needs TensorFlow and "
            "tensorflow-datasets. Install them with the extra `tensorflow` "
            '(`pip install "keras-lbreg[tensorflow]"`, in a clone `pip install '
            '".[tensorflow]"`), or export the dataset '
            f"once where they are installed (`lbreg data export {name} "
            f"{name}.npz`) and give the file instead of the name."
        ) from error
    return tfds


def three_to_one(labels, seed=0):
    """Whether each sample trains: `ceil(0.75 n)` of a class's `n` samples do.

    Of the 9,144 images of Caltech-101's 102 folders these are 6,903, as Jaiswal
    and Taura have them. Which ones is unknown; here those of class `c`, in the
    order in which they are stored, are shuffled by
    `numpy.random.default_rng([seed, c])`, and the first ones train.
    """
    trains = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        random = np.random.default_rng([seed, int(label)])
        # ceil(0.75 n) in integers.
        count = -(-3 * len(members) // 4)
        trains[random.permutation(members)[:count]] = True
    return trains


def prepare_dataset(name, data_dir=None):
    """The folder of a dataset, downloaded if it must be; `None` of digits."""
    if name == "digits":
        return None
    path = find_prepared(name, data_dir)
    if path:
        return path
    name = source_name(name)
    tfds = import_tfds(name)
    try:
        builder = tfds.builder(name, data_dir=data_folder(data_dir))
    except tfds.core.DatasetNotFoundError as error:
        expected = (
            "the name of a dataset in the catalog of TensorFlow Datasets "
            "(https://www.tensorflow.org/datasets)"
        )
        raise invalid("name", expected, name) from error
    try:
        builder.download_and_prepare()
    except AssertionError as error:
        # How TensorFlow Datasets asks for files that cannot be downloaded.
        raise ValueError(f"Cannot prepare {name!r}. {error}") from error
    return pathlib.Path(str(builder.data_path))
