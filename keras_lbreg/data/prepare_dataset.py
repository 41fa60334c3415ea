"""Download a dataset; nothing else in this package uses the network."""

import pathlib

from keras_lbreg.data.prepared import data_folder, find_prepared, source_name
from keras_lbreg.data.tfds import import_tfds


def prepare_dataset(name, data_dir=None):
    """Make sure that a dataset can be loaded; download it if it must be.

    Args:
        name: Name in TensorFlow Datasets, `"caltech101_3to1"` or `"digits"`.
        data_dir: Folder to prepare it in. Defaults to the environment variable
            `LBREG_DATA_DIR`, or TensorFlow Datasets' default.

    Returns:
        The folder of the prepared version, or `None` for `"digits"`.

    Raises:
        ValueError: There is no such dataset, or its files have to be fetched
            by hand, as those of ImageNet.
    """
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
