"""The option `--config` of the commands that train."""

from typing import Annotated

import typer

from keras_lbreg.cli.options import WHAT
from keras_lbreg.experiments.configuration_file import read_configuration

# What the file says; the names of the parameters of commands.
IN_THE_FILE = {
    "arm": "--arm",
    "batch_size": "--batch-size",
    "small_batch_size": "--small-batch-size",
    "epochs": "--epochs",
    "settings": "--set",
}

Config = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.json",
        help=(
            "A configuration that `lbreg tune` has found (best.json). It says "
            "batch sizes, epochs, techniques and their settings, and the "
            "dataset where NAME is left out."
        ),
        rich_help_panel=WHAT,
    ),
]


def read_config(context, file):
    """Read the file of `--config`, which no other option may contradict.

    Args:
        context: The command's `typer.Context`.
        file: The file.

    Returns:
        The pair `(configuration, dataset)`: the `ConfigurationFile` and the
        dataset to train on.
    """
    clashing = [
        option
        for name, option in IN_THE_FILE.items()
        if name in context.params and was_typed(context, name)
    ]
    if clashing:
        raise ValueError(
            "Invalid value for option `--config`. Expected none of the "
            "options beside it that say what the file says. Received: "
            f"--config {file} with {', '.join(clashing)}. Leave them out, or "
            "change a copy of the file."
        )
    configuration = read_configuration(file)
    if was_typed(context, "name"):
        return configuration, context.params["name"]
    return configuration, configuration.dataset


def was_typed(context, name):
    """Return whether the command line holds this parameter."""
    return context.get_parameter_source(name).name == "COMMANDLINE"


def print_origin(configuration, dataset, console):
    """Say so where a configuration is used on other data than its own."""
    if dataset != configuration.dataset:
        console.print(
            f"The configuration was found on {configuration.dataset}; it is "
            f"used on {dataset} here.",
            style="yellow",
            markup=False,
        )
