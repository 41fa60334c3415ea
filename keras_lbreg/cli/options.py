"""Arguments that several commands share, and what is made of them."""

import ast
from typing import Annotated

import typer

from keras_lbreg.formatting import make_console

WHAT = "What to run"
WHERE = "Where"

# What a tuned arm is compared with where nothing else is asked for.
RIVALS = ("small_batch", "large_batch", "lr", "lr_warmup", "lr_doubled")

WORKLOAD_HELP = """
What to train. Your own file: train.py, train.py:NAME, package.module:NAME
(see above). Built in: digits, mnist, cifar10, caltech101, caltech101_3to1. Or
any image set of TensorFlow Datasets by its name, or an .npz file.
"""


def argument(kind, metavar, help):
    """The type of a parameter that is an argument of a command."""
    return Annotated[kind, typer.Argument(metavar=metavar, help=help)]


def option(kind, panel, metavar, help, *names, **settings):
    """The type of a parameter that is an option, in a panel of the help."""
    settings |= {"metavar": metavar, "help": help, "rich_help_panel": panel}
    return Annotated[kind, typer.Option(*names, **settings)]


def number(panel, help, kind=int, **settings):
    """The type of an option that is an integer."""
    return option(kind, panel, "N", help, **settings)


def folder(help):
    """The type of an option that is a folder to write to."""
    return option(str | None, WHERE, "FOLDER", help)


WorkloadSpec = argument(str, "WORKLOAD", WORKLOAD_HELP)
# `None` where `--config` may name it.
OptionalWorkload = argument(
    str | None, "WORKLOAD", f"{WORKLOAD_HELP.strip()} Default: digits."
)
BatchSize = number(
    WHAT, "The large batch. Default: the workload's.", int | None
)
SmallBatchSize = number(
    WHAT, "The small batch. Default: that of the workload's regime.", int | None
)
Epochs = number(
    WHAT,
    "Epochs of all arms but regime adaptation. Default: those of the "
    "workload's regime.",
    int | None,
)
Set = option(
    list[str] | None,
    WHAT,
    "T.NAME=VALUE",
    "A setting NAME of a technique T, such as dreg.weight=0.05. `lbreg "
    "arms` lists all. May be repeated.",
    "--set",
)
Config = option(
    str | None,
    WHAT,
    "BEST.json",
    "What `lbreg tune` has found, as the arm `tuned`: it says workload, "
    "batch sizes and epochs where you do not.",
)
Backend = option(
    str | None,
    WHERE,
    "NAME",
    "tensorflow or jax. Default: KERAS_BACKEND, then Keras's own choice.",
)
Strategy = option(
    str,
    WHERE,
    "NAME",
    "How devices share every batch: one device; mirrored or, on JAX, "
    "jax-data-parallel: this machine's GPUs; multi-worker: those of all "
    "workers in TF_CONFIG; auto: the largest there is, which is printed.",
)
Devices = number(
    WHERE,
    "How many of this machine's devices to use. Default: all.",
    int | None,
)
VirtualDevices = number(
    WHERE,
    "Use no GPU and divide the processor into N devices: to try a "
    "strategy without the hardware. It trains no faster.",
    int | None,
    min=1,
)
DataDir = option(
    str | None,
    WHERE,
    "FOLDER",
    "Prepared datasets (tensorflow_datasets layout). Nothing is downloaded.",
    envvar="LBREG_DATA_DIR",
)
Fresh = option(
    bool,
    WHERE,
    None,
    "Delete the results of an earlier run in the folder first.",
    "--fresh",
)
Debug = option(
    bool,
    None,
    None,
    "Show Python's traceback when something goes wrong.",
    "--debug",
)


def load_workload(
    spec, data_dir=None, batch_size=None, small_batch_size=None, epochs=None
):
    """The workload of a command line; `batch_size` is only checked."""
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


def read_config(file, spec, *sizes):
    """What a file of `lbreg tune` adds to a command line, which comes first.

    Returns the arm or `None`, the workload's spec, and the sizes: the large
    batch, the small batch and the epochs.
    """
    if file is None:
        return None, spec or "digits", *sizes
    from keras_lbreg.tuning.confirm import NUMBERS, read_best

    arm, found = read_best(file)
    if spec is not None and spec != found["workload"]:
        warn(
            f"The configuration was found on {found['workload']}; it is used "
            f"on {spec} here."
        )
    numbers = zip(NUMBERS, sizes, strict=True)
    sizes = [found[name] if x is None else x for name, x in numbers]
    return arm, spec or found["workload"], *sizes


def choose_arms(text, tuned=None):
    """What `--arms A,B` names, and the tuned arm; `None` for all.

    Without `--arms`, the tuned arm comes with those that it has to beat.
    """
    own = [] if tuned is None else [tuned]
    if text is None:
        return [*RIVALS, tuned] if own else None
    names = split(text)
    if not names:
        raise ValueError(
            "Invalid value for option `--arms`. Expected names with commas "
            "between them, such as small_batch,large_batch,lr. Received: "
            f"--arms {text!r}"
        )
    return [*names, *own]


def split(text):
    """`"a, b"` as `["a", "b"]`."""
    return [word.strip() for word in text.split(",") if word.strip()]


def parse_settings(settings, option="--set"):
    """`["dreg.weight=0.1"]` as `{"dreg": {"weight": 0.1}}`."""
    parsed = {}
    for setting in settings or ():
        path, _, text = setting.partition("=")
        technique, _, name = path.partition(".")
        if "=" not in setting or not technique or not name:
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
            warn(
                f"Unused: --set {technique}.*; none of the arms that run has "
                "this technique."
            )


def warn(text):
    make_console(stderr=True).print(text, style="yellow")
