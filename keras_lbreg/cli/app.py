"""The `lbreg` application: one file per command."""

from typing import Annotated

import typer

from keras_lbreg._version import __version__
from keras_lbreg.cli.analyze import analyze
from keras_lbreg.cli.arms import arms
from keras_lbreg.cli.compare import compare
from keras_lbreg.cli.data import app as data
from keras_lbreg.cli.launch import launch
from keras_lbreg.cli.new import new
from keras_lbreg.cli.report import report
from keras_lbreg.cli.scale_up import scale_up
from keras_lbreg.cli.train import train
from keras_lbreg.cli.tune import tune

app = typer.Typer(
    name="lbreg",
    rich_markup_mode="markdown",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # `--debug` is ours: Python's own traceback, not a decorated one.
    pretty_exceptions_enable=False,
    add_completion=False,
)


def show_version(wanted: bool):
    if wanted:
        typer.echo(f"lbreg {__version__}")
        raise typer.Exit


@app.callback()
def lbreg(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            # Eager: before a missing command is an error.
            is_eager=True,
            callback=show_version,
            help="Show the version and exit.",
        ),
    ] = False,
):
    """
    Large-batch training for Keras, measured.

    Large batches train fast and generalise worse. `lbreg` trains your model
    with a small batch, a large batch, and a large batch with each published
    remedy, and shows what every remedy gives back.

    **Begin with** `lbreg compare digits`: three seeds on real data that needs
    no download, a few minutes on two CPU cores, and a report to read. Then
    `lbreg new train.py`, for a model of your own.
    """


for command in (compare, train, tune, scale_up, new, arms, report, analyze):
    app.command()(command)
app.add_typer(data, name="data")
app.command(
    "launch",
    # What follows the command to run belongs to it, `--` or not.
    context_settings={"allow_interspersed_args": False},
)(launch)
