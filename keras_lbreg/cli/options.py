"""Arguments that several commands share."""

from typing import Annotated

import typer

from keras_lbreg.experiments.arms import arm_names

ARMS = ", ".join(arm_names())
WHAT = "What to run"
WHERE = "Where"

Dataset = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help=(
            "Dataset: digits, mnist, cifar10, cifar100, caltech101, "
            "caltech101_3to1, imagenet2012, another image classification "
            "dataset of TensorFlow Datasets, or an .npz file. "
            "A file of `lbreg data export` is trained with its dataset's "
            "recipe, any other with the general one, whatever it is called."
        ),
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        help="The large batch. Default: the recipe's.",
        rich_help_panel=WHAT,
    ),
]
SmallBatchSize = Annotated[
    int | None,
    typer.Option(
        help="The small batch of the reference. Default: the recipe's.",
        rich_help_panel=WHAT,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        help=(
            "Epochs of the small batch, and of all arms but regime "
            "adaptation. Default: the recipe's."
        ),
        rich_help_panel=WHAT,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="TECHNIQUE.NAME=VALUE",
        help=(
            "A technique's hyperparameter, such as "
            "ghost_batch_norm.ghost_batch_size=64. May be repeated."
        ),
        rich_help_panel=WHAT,
    ),
]
Backend = Annotated[
    str | None,
    typer.Option(
        metavar="tensorflow|jax",
        help="Keras backend. Default: KERAS_BACKEND, then Keras's own choice.",
        rich_help_panel=WHERE,
    ),
]
Strategy = Annotated[
    str,
    typer.Option(
        metavar="auto|one|mirrored|multi-worker|jax-data-parallel",
        help=(
            "How devices share every batch: one device; the GPUs of this "
            "machine (mirrored; jax-data-parallel on JAX); or those of all "
            "workers in TF_CONFIG (multi-worker). auto takes the largest there "
            "is, and says so."
        ),
        rich_help_panel=WHERE,
    ),
]
Devices = Annotated[
    int | None,
    typer.Option(
        help="How many of this machine's devices to use. Default: all.",
        rich_help_panel=WHERE,
    ),
]
VirtualDevices = Annotated[
    int | None,
    typer.Option(
        help=(
            "Use no GPU and divide the processor into so many devices: to try "
            "a strategy without the hardware. It trains no faster."
        ),
        rich_help_panel=WHERE,
    ),
]
DataDir = Annotated[
    str | None,
    typer.Option(
        envvar="LBREG_DATA_DIR",
        help=(
            "Folder of the prepared datasets (tensorflow_datasets layout). "
            "Nothing is downloaded."
        ),
        rich_help_panel=WHERE,
    ),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Delete the results of an earlier run in the folder first.",
        rich_help_panel=WHERE,
    ),
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        help="Show Python's traceback when something goes wrong.",
    ),
]


def parse_settings(settings):
    """Parse `["dreg.weight=0.1"]` to `{"dreg": {"weight": 0.1}}`."""
    import ast

    parsed = {}
    for setting in settings or ():
        path, equals, text = setting.partition("=")
        technique, dot, name = path.partition(".")
        if not (equals and dot and technique and name):
            raise ValueError(
                "Invalid value for option `--set`. Expected "
                "TECHNIQUE.NAME=VALUE, such as dreg.weight=0.05. "
                f"Received: {setting}"
            )
        try:
            value = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            # Not a Python literal: a plain word, such as linear.
            value = text
        parsed.setdefault(technique, {})[name] = value
    return parsed


def warn_of_unused(experiment, console):
    """Say which settings belong to no technique of the chosen arms."""
    arms = [experiment.get_arm(name) for name in experiment.arms]
    used = {technique for arm in arms for technique in arm.techniques}
    for technique in experiment.hyperparameters:
        if technique not in used:
            console.print(
                f"Unused: --set {technique}.*; none of the arms that run "
                "holds this technique.",
                style="yellow",
                markup=False,
            )
