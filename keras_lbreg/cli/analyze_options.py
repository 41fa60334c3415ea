"""Arguments that the commands of `lbreg analyze` share."""

from typing import Annotated

import typer

from keras_lbreg.cli.options import WHAT, WHERE

MODEL_HELP = (
    "Saved models, as `lbreg train --out` and `model.save` write them (.keras)."
)
Models = Annotated[
    list[str], typer.Argument(metavar="MODEL.keras...", help=MODEL_HELP)
]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="NAME",
        help=(
            "The dataset: digits, mnist, cifar10, caltech101, another one "
            "of TensorFlow Datasets, or an .npz file."
        ),
        rich_help_panel=WHAT,
    ),
]
Count = Annotated[
    int | None,
    typer.Option(
        "--samples",
        help="Use so many of its samples, chosen at random.",
        rich_help_panel=WHAT,
    ),
]
Split = Annotated[
    str,
    typer.Option(
        metavar="train|val",
        help="Which part of the dataset to use.",
        rich_help_panel=WHAT,
    ),
]
Seed = Annotated[
    int,
    typer.Option(help="Seed of random directions.", rich_help_panel=WHAT),
]
Out = Annotated[
    str | None,
    typer.Option(
        help="Folder of the results. Default: runs/analyze-MODEL.",
        rich_help_panel=WHERE,
    ),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Compute everything again, and forget the results in the folder.",
        rich_help_panel=WHERE,
    ),
]
