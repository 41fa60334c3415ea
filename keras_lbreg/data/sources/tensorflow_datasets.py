"""Image classification datasets prepared by TensorFlow Datasets."""

import pathlib

import numpy as np

from keras_lbreg.data.dataset import Dataset
from keras_lbreg.data.rows import choose_rows
from keras_lbreg.data.sources.image_cache import (
    cache_folder,
    open_cache,
    size_of,
    write_cache,
)
from keras_lbreg.data.sources.image_titles import image_title
from keras_lbreg.data.sources.prepared import (
    SPLIT_ANEW,
    data_folder,
    find_prepared,
    not_prepared,
    source_name,
)
from keras_lbreg.data.sources.read_parts import make_parts, read_part
from keras_lbreg.data.three_to_one import three_to_one

VALIDATION_SPLITS = ("validation", "test", "val")

# Bytes of images; what takes more is left on disk.
MEMORY_LIMIT = 8 * 2**30


def load_tensorflow_dataset(
    name,
    data_dir=None,
    image_size=None,
    memory_limit=MEMORY_LIMIT,
    in_memory=False,
):
    """Read a prepared dataset; the network is never touched.

    The training split is `train`, the validation split the first one there
    is of `validation`, `test`, `val`. `caltech101_3to1` splits the images of
    both anew, see `three_to_one`.

    Images that take more than `memory_limit` are written to files once, in
    the size asked for, and left there: `x_train` and `x_val` then read what
    is indexed (`numpy.memmap`). These files need no TensorFlow any more.

    Args:
        name: Name in TensorFlow Datasets, or `"caltech101_3to1"`.
        data_dir: Folder of the prepared datasets.
        image_size: Height and width to resize the images to where they
            differ in size; images of one size are left as they are.
        memory_limit: Bytes that images may take in memory.
        in_memory: Whether larger ones are refused, not left on disk.

    Returns:
        A `Dataset`, of `uint8` images where they were resized.

    Raises:
        ValueError: The dataset is not prepared there, is damaged, is no image
            classification dataset, or fits nowhere.

    Example:

    >>> load_tensorflow_dataset("cifar10", data_dir="~/tensorflow_datasets")

    Reference: https://www.tensorflow.org/datasets
    """
    version = find_prepared(name, data_dir)
    if version is None:
        raise ValueError(not_prepared(name, data_dir))
    # Images of one size are kept as they are, whatever the size asked for.
    for size in () if in_memory else (image_size, None):
        if there := open_cache(cache_folder(name, version, size)):
            return make_dataset(name, size, *there)
    tfds = import_tfds(name)
    builder = open_builder(tfds, version)
    check_features(name, builder.info, image_size)
    if None not in builder.info.features["image"].shape:
        image_size = None
    validation = validation_split(name, builder.info)
    about = {
        "classes": builder.info.features["label"].num_classes,
        "jpeg": stored_with_loss(tfds, builder),
        "full_name": builder.info.full_name,
        "validation": validation,
    }
    parts = make_parts(name, builder, image_size, validation)
    needed = sum(map(size_of, parts.values()))
    if needed <= memory_limit:
        arrays = {key: read_part(part) for key, part in parts.items()}
        return make_dataset(name, image_size, arrays, about)
    if in_memory:
        raise ValueError(
            f"The dataset {name!r} is too large for memory. Expected at most "
            f"{memory_limit / 1e9:,.1f} GB of images; choose a smaller image "
            "size, or give the name of the dataset and not a file: it is then "
            f"left on disk. Received: {needed / 1e9:,.1f} GB"
        )
    folder = cache_folder(name, version, image_size)
    write_cache(folder, parts, about)
    return make_dataset(name, image_size, *open_cache(folder))


def prepare_tensorflow_dataset(name, data_dir=None):
    """Download and prepare a dataset; the only function that may download.

    Args:
        name: Name in TensorFlow Datasets, or `"caltech101_3to1"`.
        data_dir: Folder to prepare it in.

    Returns:
        The folder of the prepared version.

    Raises:
        ValueError: There is no such dataset, or its files have to be fetched
            by hand, as those of ImageNet, with TensorFlow Datasets' own
            instructions.

    Example:

    >>> prepare_tensorflow_dataset("mnist")

    Reference: https://www.tensorflow.org/datasets
    """
    tfds = import_tfds(name)
    name = source_name(name)
    try:
        builder = tfds.builder(name, data_dir=data_folder(data_dir))
    except tfds.core.DatasetNotFoundError as error:
        raise ValueError(
            "Invalid value for argument `name`. Expected the name of a dataset "
            "in the catalog of TensorFlow Datasets "
            f"(https://www.tensorflow.org/datasets). Received: name={name!r}"
        ) from error
    try:
        builder.download_and_prepare()
    except AssertionError as error:
        # How TensorFlow Datasets asks for files that cannot be downloaded.
        raise ValueError(f"Cannot prepare {name!r}. {error}") from error
    return pathlib.Path(str(builder.data_path))


def make_dataset(name, image_size, arrays, about):
    """The `Dataset` of arrays by part, and of what is known about them."""
    validation, source = about["validation"], source_name(name)
    if name in SPLIT_ANEW:
        x, y, sides = arrays["all"]
        trains = three_to_one(y)
        x_train, y_train = choose_rows(x, trains), y[trains]
        # Validation data is looked at as a whole: in memory, also off disk.
        x_val, y_val = x[~trains], y[~trains]
        split = (
            f"its train and {validation} splits together split 3:1 anew in "
            f"each class, into {len(y_train):,} training and {len(y_val):,} "
            "validation images"
        )
    else:
        x_train, y_train, sides = arrays["train"]
        x_val, y_val, others = arrays["val"]
        sides = np.concatenate([sides, others])
        split = f"validated on its {validation} split"
    size = "" if image_size is None else f" resized to {image_size}"
    return Dataset(
        name,
        x_train,
        y_train,
        x_val,
        y_val,
        classes=about["classes"],
        title=image_title(source, image_size, sides, about["jpeg"]),
        notes=(f"{about['full_name']} of TensorFlow Datasets{size}, {split}."),
    )


def open_builder(tfds, version):
    try:
        return tfds.builder_from_directory(version)
    except Exception as error:
        # Whatever a damaged file makes its readers raise.
        raise ValueError(
            f"Cannot read the prepared dataset in {version}: {error}. Expected "
            "the files that `lbreg data prepare` writes: delete the folder and "
            "prepare it again."
        ) from error


def validation_split(name, info):
    splits = [split for split in VALIDATION_SPLITS if split in info.splits]
    if "train" not in info.splits or not splits:
        raise ValueError(
            f"Invalid dataset {name!r}. Expected a `train` split and one of "
            f"{list(VALIDATION_SPLITS)}. Received: {sorted(info.splits)}"
        )
    return splits[0]


def stored_with_loss(tfds, builder):
    """Whether images that should be lossless were stored as JPEG."""
    image = builder.info.features["image"]
    # Images of many sizes are photographs, kept in the files they came in.
    if image.encoding_format == "jpeg" or None in image.shape:
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
