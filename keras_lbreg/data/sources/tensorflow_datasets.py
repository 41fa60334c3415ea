"""Image classification datasets prepared by TensorFlow Datasets."""

import os
import pathlib
import re

import numpy as np

from keras_lbreg.data.dataset import Dataset

# What has to be said beside a number measured on them.
TITLES = {
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "caltech101": "Caltech-101",
}

VALIDATION_SPLITS = ("validation", "test", "val")


def data_folder(data_dir=None):
    """The folder of prepared datasets.

    Args:
        data_dir: The folder, or `None` for the environment variable
            `LBREG_DATA_DIR`, or else TensorFlow Datasets' own default.
    """
    folder = data_dir or os.environ.get("LBREG_DATA_DIR")
    folder = folder or os.environ.get("TFDS_DATA_DIR")
    return pathlib.Path(folder or "~/tensorflow_datasets").expanduser()


def find_prepared(name, data_dir=None):
    """Folder of the newest prepared version of `name`, or `None`."""
    folder = data_folder(data_dir) / name
    infos = [
        *folder.glob("*/dataset_info.json"),
        *folder.glob("*/*/dataset_info.json"),
    ]
    versions = [
        info.parent
        for info in infos
        if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name)
    ]
    return max(
        versions,
        key=lambda p: tuple(map(int, p.name.split("."))),
        default=None,
    )


def prepared_names(data_dir=None):
    """Names of all datasets prepared in the folder, sorted."""
    folder = data_folder(data_dir)
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and find_prepared(entry.name, data_dir)
    )


def load_tensorflow_dataset(name, data_dir=None, image_size=None):
    """Read a prepared dataset into memory; the network is never touched.

    The training split is `train`, the validation split the first one there
    is of `validation`, `test`, `val`.

    Args:
        name: Name in TensorFlow Datasets.
        data_dir: Folder of the prepared datasets.
        image_size: Height and width to resize the images to where they
            differ in size; images of one size are left as they are.

    Returns:
        A `Dataset` of `uint8` images.

    Raises:
        ValueError: The dataset is not prepared there, or is no image
            classification dataset.

    Example:

    >>> load_tensorflow_dataset("cifar10", data_dir="~/tensorflow_datasets")

    Reference: https://www.tensorflow.org/datasets
    """
    version = find_prepared(name, data_dir)
    if version is None:
        raise ValueError(not_prepared(name, data_dir))
    tfds = import_tfds(name)
    builder = tfds.builder_from_directory(version)
    check_features(name, builder.info, image_size)
    if None not in builder.info.features["image"].shape:
        image_size = None
    splits = [s for s in VALIDATION_SPLITS if s in builder.info.splits]
    if "train" not in builder.info.splits or not splits:
        raise ValueError(
            f"Invalid dataset {name!r}. Expected a `train` split and one of "
            f"{list(VALIDATION_SPLITS)}. Received: "
            f"{sorted(builder.info.splits)}"
        )
    arrays = [
        *read_split(tfds, builder, "train", image_size),
        *read_split(tfds, builder, splits[0], image_size),
    ]
    title = TITLES.get(name, name)
    if stored_with_loss(tfds, builder):
        title += " (JPEG)"
    size = "" if image_size is None else f" resized to {image_size}"
    return Dataset(
        name,
        *arrays,
        classes=builder.info.features["label"].num_classes,
        title=title,
        notes=(
            f"{builder.info.full_name} of TensorFlow Datasets{size}, "
            f"validated on its {splits[0]} split."
        ),
    )


def prepare_tensorflow_dataset(name, data_dir=None):
    """Download and prepare a dataset; the only function that may download.

    Args:
        name: Name in TensorFlow Datasets.
        data_dir: Folder to prepare it in.

    Returns:
        The folder of the prepared version.

    Example:

    >>> prepare_tensorflow_dataset("mnist")

    Reference: https://www.tensorflow.org/datasets
    """
    tfds = import_tfds(name)
    builder = tfds.builder(name, data_dir=data_folder(data_dir))
    builder.download_and_prepare()
    return pathlib.Path(str(builder.data_path))


def read_split(tfds, builder, split, image_size):
    import tensorflow as tf

    def prepare(image, label):
        if image_size is not None:
            image = tf.image.resize(image, image_size, antialias=True)
            image = tf.cast(tf.round(tf.clip_by_value(image, 0, 255)), "uint8")
        return image, label

    dataset = builder.as_dataset(
        split=split,
        as_supervised=True,
        shuffle_files=False,
        read_config=tfds.ReadConfig(try_autocache=False),
    )
    count = builder.info.splits[split].num_examples
    images = labels = None
    position = 0
    batches = dataset.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    # Filled in place: a list of batches would need the memory twice.
    for image, label in tfds.as_numpy(batches.batch(1024)):
        if images is None:
            images = np.empty((count, *image.shape[1:]), image.dtype)
            labels = np.empty(count, "int32")
        images[position : position + len(image)] = image
        labels[position : position + len(image)] = label
        position += len(image)
    if position != count or count == 0:
        raise ValueError(
            f"Invalid dataset {builder.name!r}. Expected {count or 'some'} "
            f"samples in split {split!r}. Received: {position}"
        )
    return images, labels


def stored_with_loss(tfds, builder):
    """Whether images that should be lossless were stored as JPEG."""
    if builder.info.features["image"].encoding_format == "jpeg":
        return False
    first = builder.as_dataset(
        split="train",
        decoders={"image": tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(try_autocache=False),
    ).take(1)
    [example] = tfds.as_numpy(first)
    return bytes(example["image"]).startswith(b"\xff\xd8")


def check_features(name, info, image_size):
    supervised = info.supervised_keys
    if supervised != ("image", "label"):
        raise ValueError(
            f"Invalid dataset {name!r}. Expected an image classification "
            "dataset, whose supervised keys are ('image', 'label'). "
            f"Received: {supervised}"
        )
    if image_size is None and None in info.features["image"].shape:
        raise ValueError(
            "Invalid value for argument `image_size`. Expected a height and "
            f"a width to resize to: the images of {name!r} differ in size. "
            "Received: image_size=None"
        )


def import_tfds(name):
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"Reading the dataset {name!r} needs TensorFlow and "
            "tensorflow-datasets. Install them with "
            'the extra `tensorflow` (`pip install "keras-lbreg[tensorflow]"`, '
            'in a clone `pip install ".[tensorflow]"`), or export the dataset '
            f"once where they are installed (`lbreg data export {name} "
            f"{name}.npz`) and give the file instead of the name."
        ) from error
    return tfds


def not_prepared(name, data_dir):
    folder = data_folder(data_dir)
    prepared = prepared_names(data_dir)
    return (
        f"The dataset {name!r} is not prepared in {folder}. Prepare it with "
        f"`lbreg data prepare {name}` (add `--data-dir` for another folder). "
        f"Prepared there: {prepared or 'nothing'}"
    )
