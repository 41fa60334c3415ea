"""Arguments that several commands share, and what is made of them."""

import ast
from typing import Annotated

import typer

from keras_lbreg.cli.errors import make_console

WHAT = "What to run"
WHERE = "Where"

# What a tuned arm is compared with where nothing else is asked for.
RIVALS = ("small_batch", "large_batch", "lr", "lr_warmup", "lr_doubled")

WORKLOAD_HELP = """
What to train. Your own file: train.py, train.py:NAME, package.module:NAME
(see above). Built in: digits, mnist, cifar10, caltech101, caltech101_3to1. Or
any image set of TensorFlow Datasets by its name, or an .npz file.
"""

WorkloadSpec = Annotated[
    str, typer.Argument(metavar="WORKLOAD", help=WORKLOAD_HELP)
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="The large batch. Default: the workload's.",
        rich_help_panel=WHAT,
    ),
]
SmallBatchSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="The small batch. Default: that of the workload's regime.",
        rich_help_panel=WHAT,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help=(
            "Epochs of all arms but regime adaptation. Default: those of the "
            "workload's regime."
        ),
        rich_help_panel=WHAT,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="T.NAME=VALUE",
        help=(
            "A setting NAME of a technique T, such as dreg.weight=0.05. "
            "`lbreg arms` lists all. May be repeated."
        ),
        rich_help_panel=WHAT,
    ),
]
Config = Annotated[
    str | None,
    typer.Option(
        metavar="BEST.json",
        help=(
            "What `lbreg tune` has found, as the arm `tuned`: it says "
            "workload, batch sizes and epochs where you do not."
        ),
        rich_help_panel=WHAT,
    ),
]
Backend = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=(
            "tensorflow or jax. Default: KERAS_BACKEND, then Keras's own "
            "choice."
        ),
        rich_help_panel=WHERE,
    ),
]
Strategy = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=(
            "How devices share every batch: one device; mirrored or, on JAX, "
            "jax-data-parallel: this machine's GPUs; multi-worker: those of "
            "all workers in TF_CONFIG; auto: the largest there is, which is "
            "printed."
        ),
        rich_help_panel=WHERE,
    ),
]
Devices = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="How many of this machine's devices to use. Default: all.",
        rich_help_panel=WHERE,
    ),
]
VirtualDevices = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help=(
            "Use no GPU and divide the processor into N devices: to try a "
            "strategy without the hardware. It trains no faster."
        ),
        rich_help_panel=WHERE,
    ),
]
DataDir = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        envvar="LBREG_DATA_DIR",
        help=(
            "Prepared datasets (tensorflow_datasets layout). Nothing is "
            "downloaded."
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


def load_workload(
    spec, data_dir=None, batch_size=None, small_batch_size=None, epochs=None
):
    """The workload of a command line, once Keras runs.

    Args:
        spec: What `get_workload` takes.
        data_dir: Folder of the prepared datasets.
        batch_size: The large batch; only checked.
        small_batch_size: In place of that of the workload's regime.
        epochs: Likewise.

    Returns:
        A `Workload`.

    Raises:
        ValueError: A value makes no sense.
    """
    from keras_lbreg.checks import check_positive_int
    from keras_lbreg.workloads import get_workload

    given = {
        "batch_size": batch_size,
        "small_batch_size": small_batch_size,
        "epochs": epochs,
    }
    # Before the data are read, which may take minutes.
    for name, value in given.items():
        if value is not None:
            check_positive_int(name, value)
    workload = get_workload(spec, data_dir=data_dir)
    if small_batch_size is not None:
        workload = workload.with_small_batch(small_batch_size)
    return workload if epochs is None else workload.with_epochs(epochs)


def read_config(file, spec, batch_size, small_batch_size, epochs):
    """What a file of `lbreg tune` adds to a command line, which comes first.

    Returns:
        The arm or `None`, the workload's spec, the large batch, the small
        batch and the epochs.
    """
    if file is None:
        return None, spec or "digits", batch_size, small_batch_size, epochs
    from keras_lbreg.tuning.confirm import read_best

    arm, found = read_best(file)
    if spec is not None and spec != found["workload"]:
        make_console(stderr=True).print(
            f"The configuration was found on {found['workload']}; it is used "
            f"on {spec} here.",
            style="yellow",
            markup=False,
        )
    return (
        arm,
        spec or found["workload"],
        batch_size or found.get("batch_size"),
        small_batch_size or found.get("small_batch_size"),
        epochs or found.get("epochs"),
    )


def choose_arms(text, tuned=None):
    """What `--arms A,B` names, and the tuned arm; `None` for all.

    Without `--arms`, the tuned arm comes with those that it has to beat.
    """
    if text is None:
        return None if tuned is None else [*RIVALS, tuned]
    names = [word.strip() for word in text.split(",") if word.strip()]
    if not names:
        raise ValueError(
            "Invalid value for option `--arms`. Expected names with commas "
            "between them, such as small_batch,large_batch,lr. Received: "
            f"--arms {text!r}"
        )
    return names if tuned is None else [*names, tuned]


def parse_settings(settings, option="--set"):
    """`["dreg.weight=0.1"]` as `{"dreg": {"weight": 0.1}}`."""
    parsed = {}
    for setting in settings or ():
        path, equals, text = setting.partition("=")
        technique, dot, name = path.partition(".")
        if not (equals and dot and technique and name):
            raise ValueError(
                f"Invalid value for option `{option}`. Expected "
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


def warn_of_unused(hyperparameters, arms):
    """Says which settings belong to no technique of the arms that run."""
    from keras_lbreg.comparison import standard_arms

    if arms is None:
        return
    known = {arm.name: arm for arm in standard_arms(warm_up=True)}
    chosen = [known.get(arm) if isinstance(arm, str) else arm for arm in arms]
    used = {technique for arm in chosen if arm for technique in arm.techniques}
    for technique in hyperparameters:
        if technique not in used:
            make_console(stderr=True).print(
                f"Unused: --set {technique}.*; none of the arms that run has "
                "this technique.",
                style="yellow",
                markup=False,
            )
