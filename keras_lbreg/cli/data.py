"""`lbreg data`: list, prepare and export datasets."""

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
    List the datasets that are ready to use, and those with a recipe.

    **Examples**

    ```shell
    lbreg data list
    lbreg data list --data-dir ~/tensorflow_datasets
    ```
    """
    from keras_lbreg.cli.backend import start_keras

    start_keras()

    from keras_lbreg.data.sources.tensorflow_datasets import (
        data_folder,
        prepared_names,
    )
    from keras_lbreg.experiments.recipes import RECIPES

    prepared = prepared_names(data_dir)
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for column in ("name", "ready", "recipe"):
        table.add_column(column)
    for name in dict.fromkeys([*RECIPES, *prepared]):
        ready = name == "digits" or name in prepared
        table.add_row(
            name,
            "yes" if ready else f"no: lbreg data prepare {name}",
            "its own" if name in RECIPES else "small network",
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
    tensorflow-datasets, and room for the data twice.

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
    lbreg compare cifar10.npz --backend jax
    ```
    """
    from keras_lbreg.cli.backend import start_keras

    start_keras()

    from keras_lbreg.data import load_dataset
    from keras_lbreg.data.sources.npz import save_npz
    from keras_lbreg.experiments.recipes import recipe_for

    dataset = load_dataset(name, data_dir, recipe_for(name).image_size)
    save_npz(dataset, file)
    make_console().print(
        f"Wrote {file}: {len(dataset.x_train):,} training and "
        f"{len(dataset.x_val):,} validation samples of "
        f"{dataset.classes} classes.",
        markup=False,
        soft_wrap=True,
    )
