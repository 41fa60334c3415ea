"""`lbreg data`: list, prepare and export datasets."""

import pathlib
from typing import Annotated

import rich.box
import rich.table
import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.console import make_console
from keras_lbreg.cli.errors import report_errors

app = typer.Typer(no_args_is_help=True)


@app.callback()
def data():
    """
    List, prepare and export datasets.

    `lbreg compare` never downloads anything. `digits` is always there; any
    other dataset is prepared once with `lbreg data prepare`, or comes as an
    `.npz` file.
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
    from keras_lbreg.cli.backend import start_keras

    start_keras()

    from keras_lbreg.data import prepare_dataset
    from keras_lbreg.data.sources.prepared import data_folder, source_name
    from keras_lbreg.experiments.recipes import RECIPES

    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for column in ("name", "ready", "recipe"):
        table.add_column(column)
    for info in prepare_dataset.list_datasets(data_dir):
        prepare_it = f"no: lbreg data prepare {source_name(info.name)}"
        table.add_row(
            info.name,
            "yes" if info.prepared else prepare_it,
            "its own" if info.name in RECIPES else "small network",
        )
    console = make_console()
    console.print(f"Prepared datasets in {data_folder(data_dir)}", markup=False)
    console.print(table)


@app.command("prepare")
@report_errors
def prepare(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name in the TFDS catalog.")
    ],
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
    from keras_lbreg.cli.backend import start_keras

    start_keras("tensorflow")

    from keras_lbreg.data.sources.tensorflow_datasets import (
        prepare_tensorflow_dataset,
    )

    console = make_console()
    if name == "digits":
        console.print("digits is part of scikit-learn: nothing to prepare.")
        return
    folder = prepare_tensorflow_dataset(name, data_dir)
    console.print(f"Ready: {folder}", markup=False, soft_wrap=True)
    console.print(f"Next: lbreg compare {name}", markup=False)


@app.command("export")
@report_errors
def export(
    name: options.Dataset,
    file: Annotated[
        str, typer.Argument(metavar="FILE.npz", help="File to write.")
    ],
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="H,W",
            help=(
                "Height and width, or one number for both, to squash the "
                "images to where they differ in size. Default: the recipe's."
            ),
        ),
    ] = None,
    data_dir: options.DataDir = None,
    debug: options.Debug = False,
):
    """
    Write a dataset as one `.npz` file, to use where TensorFlow is not.

    The file holds `x_train`, `y_train`, `x_val`, `y_val`, the number of
    classes and the dataset's name, by which its recipe is found again. Any
    file with these arrays can be compared on, also one of your own: it gets
    the general recipe.

    **Examples**

    ```shell
    lbreg data export cifar10 cifar10.npz
    lbreg data export caltech101_3to1 caltech.npz --image-size 48
    lbreg compare cifar10.npz --backend jax
    ```
    """
    from keras_lbreg.cli.backend import start_keras
    from keras_lbreg.cli.image_size import parse_image_size

    start_keras()

    from keras_lbreg.data import load_dataset
    from keras_lbreg.data.sources.npz import check_npz_path, save_npz
    from keras_lbreg.experiments.recipes import recipe_for

    size = parse_image_size(image_size)
    # Before the dataset is read, which may take minutes.
    check_npz_path(file)
    dataset = load_dataset(
        name, data_dir, size or recipe_for(name).image_size, in_memory=True
    )
    if size is not None and dataset.input_shape[:2] != size:
        raise ValueError(
            f"Invalid value for argument `--image-size`. The images of {name} "
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
        markup=False,
        soft_wrap=True,
    )
