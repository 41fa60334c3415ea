"""`lbreg data`: list, prepare and export datasets."""

import pathlib
import re

import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import start_keras
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.formatting import make_console, rich_table

app = typer.Typer(no_args_is_help=True)


@app.callback()
def data():
    """
    List, prepare and export datasets.

    `lbreg compare` never downloads anything. `digits` is always there; any
    other dataset is prepared once with `lbreg data prepare`, or comes as an
    `.npz` file, or from your own Python file.
    """


@app.command("list")
@report_errors
def list_datasets(
    data_dir: options.DataDir = None,
    debug: options.Debug = False,
):
    """
    List the datasets that are ready to use, and how to get the others.

    **Examples**

    ```shell
    lbreg data list
    lbreg data list --data-dir ~/tensorflow_datasets
    ```
    """
    # Nothing here imports Keras.
    from keras_lbreg.data.prepared import (
        KNOWN,
        data_folder,
        prepared_datasets,
        source_name,
    )

    prepared = {
        name: (version, "" if samples is None else f"{samples:,}")
        for name, version, samples in prepared_datasets(data_dir)
    }
    rows = []
    for name in dict.fromkeys([*KNOWN, *prepared]):
        source = source_name(name)
        version, samples = prepared.get(source, (None, ""))
        ready = f"no: lbreg data prepare {source}"
        if name == "digits" or version:
            ready = f"yes, {version}" if version else "yes"
        rows.append((name, ready, KNOWN.get(name, ""), samples))
    console = make_console()
    folder = data_folder(data_dir)
    line = f"Prepared datasets in {folder}"
    if not folder.is_dir():
        line = f"There is no folder {folder}: nothing is prepared."
    console.print(line, soft_wrap=True)
    console.print(
        rich_table(("name", "ready", "what", "samples"), rows, left=3)
    )


@app.command("prepare")
@report_errors
def prepare(
    name: options.argument(str, "NAME", "Name in the TFDS catalog."),
    data_dir: options.DataDir = None,
    debug: options.Debug = False,
):
    """
    Download a dataset and prepare it for all later runs.

    The only command that uses the network. It needs TensorFlow and
    tensorflow-datasets, and room for the data twice. The files of
    `imagenet2012` have to be fetched by hand first: the command says where to
    put them.

    **Examples**

    ```shell
    lbreg data prepare mnist
    lbreg data prepare cifar10 --data-dir /data/tfds
    ```
    """
    console = make_console()
    if name == "digits":
        console.print("digits is part of scikit-learn: nothing to prepare.")
        return
    start_keras("tensorflow")

    from keras_lbreg.data.tfds import prepare_dataset

    folder = prepare_dataset(name, data_dir)
    console.print(f"Ready: {folder}", soft_wrap=True)
    console.print(f"Next: lbreg compare {name}")


@app.command("export")
@report_errors
def export(
    name: options.argument(
        str, "NAME", "Dataset: see `lbreg data list`, or an .npz file."
    ),
    file: options.argument(str, "FILE.npz", "File to write."),
    image_size: options.option(
        str | None,
        None,
        "H,W",
        "Height and width, or one number for both, to resize the images to "
        "where they differ in size.",
    ) = None,
    data_dir: options.DataDir = None,
    debug: options.Debug = False,
):
    """
    Write a dataset as one `.npz` file, to use where TensorFlow is not.

    The file holds `x_train`, `y_train`, `x_val`, `y_val`, the number of
    classes and the dataset's name. Any file with these arrays can be compared
    on, also one of your own.

    **Examples**

    ```shell
    lbreg data export cifar10 cifar10.npz
    lbreg data export caltech101_3to1 caltech.npz --image-size 48
    lbreg compare cifar10.npz --backend jax
    ```
    """
    size = parse_image_size(image_size)

    from keras_lbreg.data import load_dataset
    from keras_lbreg.data.npz import check_npz_path, save_npz

    # Before the dataset is read, which may take minutes.
    check_npz_path(file)
    start_keras()
    dataset = load_dataset(name, data_dir, size)
    if size is not None and dataset.input_shape[:2] != size:
        raise ValueError(
            f"Invalid value for option `--image-size`. The images of {name} "
            "all have one size and are left as they are. Expected no "
            f"--image-size. Received: --image-size {image_size} for inputs of "
            f"shape {dataset.input_shape}"
        )
    save_npz(dataset, file)
    mebibytes = pathlib.Path(file).stat().st_size / 2**20
    make_console().print(
        f"Wrote {file} ({mebibytes:,.1f} MiB): "
        f"{len(dataset.x_train):,} training and "
        f"{len(dataset.x_val):,} validation samples of "
        f"{dataset.classes} classes, of shape "
        f"{'x'.join(map(str, dataset.input_shape))}.",
        soft_wrap=True,
    )


def parse_image_size(text):
    """`"96"`, `"96,128"` or `"96x128"` as a pair of integers, or `None`."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+)\s*(?:[,x]\s*(\d+)\s*)?", text)
    if match is None:
        raise ValueError(
            "Invalid value for option `--image-size`. Expected a height and a "
            "width in pixels, such as 96,128, or one number for both. "
            f"Received: --image-size {text}"
        )
    return int(match[1]), int(match[2] or match[1])
