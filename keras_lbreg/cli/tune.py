"""`lbreg tune`: search good settings of the techniques."""

import ast
import math
import re
from typing import Annotated

import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import is_installed, start_keras
from keras_lbreg.cli.errors import RUN_FAILED, report_errors
from keras_lbreg.formatting import make_console
from keras_lbreg.techniques import SearchRange, names

SPACE = "What to try"
SEARCH = "How to search"
BUDGET = re.compile(
    r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?"
    r"(?:(?P<s>\d+(?:\.\d+)?)s)?"
)
MINUTES = {"h": 60, "m": 1, "s": 1 / 60}


def option(panel, metavar, help):
    """A `typer.Option` of this command."""
    return typer.Option(metavar=metavar, help=help, rich_help_panel=panel)


@report_errors
def tune(
    workload: Annotated[
        str,
        typer.Argument(
            metavar="WORKLOAD",
            help=f"{options.WORKLOAD_HELP.strip()} Default: digits.",
        ),
    ] = "digits",
    batch_size: Annotated[
        str | None,
        option(
            SPACE,
            "N,N,...",
            "The large batch; several are tried beside the rest. Default: the "
            "workload's.",
        ),
    ] = None,
    techniques: Annotated[
        str | None,
        option(
            SPACE,
            "A,B,...",
            f"Techniques to try on and off: {', '.join(names())}. Default: all "
            "that suit the model, but regime_adaptation, which trains longer.",
        ),
    ] = None,
    always: Annotated[
        str,
        option(SPACE, "A,B,...", 'Techniques that every trial has, or "".'),
    ] = "lr_scaling",
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            metavar="T.NAME=VALUES",
            help=(
                "Other values to try than a technique's own: "
                "dreg.weight=0.01..1:log, lr_scaling.warmup_epochs=0..3 "
                "(integers), or dreg.layer=dense_1,dense_2. May be repeated."
            ),
            rich_help_panel=SPACE,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="T.NAME=VALUE",
            help="One value, which is not searched. May be repeated.",
            rich_help_panel=SPACE,
        ),
    ] = None,
    learning_rate_factor: Annotated[
        str,
        option(
            SPACE,
            "LOW..HIGH",
            "What the learning rate may be multiplied by, or none.",
        ),
    ] = "0.25..4",
    engine: Annotated[
        str,
        option(
            SEARCH,
            "NAME",
            "KerasTuner's engine that chooses what to try next: random, "
            "bayesian, hyperband or grid.",
        ),
    ] = "random",
    trials: Annotated[
        int, option(SEARCH, "N", "Configurations to try, at most.")
    ] = 30,
    executions: Annotated[
        int, option(SEARCH, "N", "Runs of every trial, with seeds 0, 1, ...")
    ] = 1,
    budget: Annotated[
        str | None,
        option(
            SEARCH,
            "TIME",
            "Begin no trial after so much searching, over all sessions: 90s, "
            "30m, 2h or 1h30m.",
        ),
    ] = None,
    workers: Annotated[
        int,
        option(SEARCH, "N", "Trials at a time: so many processes search."),
    ] = 1,
    seed: Annotated[int, option(SEARCH, "N", "Seed of the engine.")] = 0,
    holdout: Annotated[
        float,
        option(
            SEARCH,
            "SHARE",
            "Part of the training data that trials are judged by. The "
            "validation data are kept for the winner.",
        ),
    ] = 0.2,
    confirm_seeds: Annotated[
        int,
        option(
            SEARCH,
            "N",
            "Fresh seeds that the winner is compared on with the small batch, "
            "the large batch and the best learning rate. 0: no comparison.",
        ),
    ] = 3,
    small_batch_size: options.SmallBatchSize = None,
    epochs: options.Epochs = None,
    backend: options.Backend = None,
    strategy: Annotated[
        str,
        option(
            options.WHERE,
            "NAME",
            "How devices share every batch of a trial: one, mirrored, "
            "jax-data-parallel or auto.",
        ),
    ] = "one",
    devices: options.Devices = None,
    virtual_devices: options.VirtualDevices = None,
    data_dir: options.DataDir = None,
    out: Annotated[
        str | None,
        option(
            options.WHERE,
            "FOLDER",
            "Folder of the search. Default: runs/tune-NAME.",
        ),
    ] = None,
    fresh: options.Fresh = False,
    debug: options.Debug = False,
):
    """
    Search good settings of the techniques for a large batch.

    KerasTuner tries techniques on and off, with their settings and a factor on
    the learning rate, at the large batch and equal epochs. A trial is judged
    by its plain network on data held out of the training data. The winner is
    then trained again on all of it, with fresh seeds, beside the small batch,
    the large batch and the best learning rate without any technique.

    **Interrupted?** Give the same command again. No trial is lost or run
    twice; a half run goes on from its last saved epoch. `--trials`,
    `--budget`, `--confirm-seeds` and `--workers` may be others then.

    **Examples**

    ```shell
    lbreg tune digits                     # 30 trials
    lbreg tune train.py --batch-size 4096 --executions 2 --budget 2h
    lbreg tune mnist --engine hyperband --workers 2
    lbreg tune digits --techniques dreg \\
        --range dreg.weight=0.01..1:log --set dreg.distance=bounded
    ```

    **What comes out**, in `runs/tune-NAME/`

    - `best.json`: the winner, for `lbreg train --config`
    - `report.html`: the whole search on one page, to read first
    - `table.md`, `trials.csv` and `plots/`: the same in pieces
    - `confirm/`: the comparison on fresh seeds, with a report of its own
    - `search/`: KerasTuner's project, with the records of every trial

    Exit status: 0 the search ended, 1 no trial succeeded or a run of the
    comparison failed, 2 wrong usage, 130 interrupted, 143 terminated.
    """
    wanted = {
        "batch_size": parse_batch_sizes(batch_size),
        "techniques": split(techniques),
        "always": split(always) or (),
        "ranges": parse_ranges(ranges, settings),
        "learning_rate_factor": parse_factor(learning_rate_factor),
        "budget": parse_budget(budget),
    }
    if not is_installed("keras_tuner"):
        raise ImportError(
            "`lbreg tune` needs KerasTuner. Install it with `pip install "
            '"keras-lbreg[tune]"`, in a clone `pip install ".[tune]"`.'
        )
    start_keras(backend, virtual_devices)

    from keras_lbreg.training.display import Display
    from keras_lbreg.tuning import tune as search

    console = make_console()
    result = search(
        options.load_workload(
            workload, data_dir, None, small_batch_size, epochs
        ),
        trials=trials,
        engine=engine,
        executions=executions,
        seed=seed,
        holdout=holdout,
        out=out,
        confirm_seeds=confirm_seeds,
        workers=workers,
        strategy=strategy,
        devices=devices,
        fresh=fresh,
        progress=Display(console),
        **wanted,
    )
    print_search(result, console)
    runs = () if result.confirmation is None else result.confirmation.runs
    failed = any(run.status != "finished" for run in runs)
    raise typer.Exit(RUN_FAILED if failed or result.best is None else 0)


def show_search(folder, console):
    """Writes the report of a search anew, and prints what it has come to."""
    from keras_lbreg.tuning.report import read_search, write_report

    result = read_search(folder)
    write_report(result)
    print_search(result, console)


def print_search(result, console):
    """Prints the best trials, the comparison on fresh seeds, and files."""
    import rich.box
    import rich.table
    import rich.text

    from keras_lbreg.comparison.table import to_rich
    from keras_lbreg.tuning.report import columns, failures, top_rows

    ranking = result.ranking
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1))
    for name in columns(ranking):
        table.add_column(name)
    for row in top_rows(ranking):
        # Not markup: a layer may be called anything.
        table.add_row(*map(rich.text.Text, row))
    console.print(table)
    for line in failures(ranking):
        console.print(f"Failed: {line}", style="red", markup=False)
    if result.confirmation is not None:
        console.print(to_rich(result.confirmation, console.width))
    console.print(result.headline(), markup=False)
    if result.best is not None:
        console.print(
            f"The winner: {result.best_path}", markup=False, soft_wrap=True
        )
    console.print(f"Report: {result.report_path}", markup=False, soft_wrap=True)


def split(text):
    """`"a,b"` as `["a", "b"]`; `None` stays `None`."""
    if text is None:
        return None
    return [word.strip() for word in text.split(",") if word.strip()]


def parse_batch_sizes(text):
    """`"1024,4096"` as `[1024, 4096]`; `None` stays `None`."""
    if text is None:
        return None
    try:
        return [int(size) for size in text.split(",")]
    except ValueError:
        raise ValueError(
            "Invalid value for option `--batch-size`. Expected an integer, or "
            "several with commas between them, such as 1024,4096. Received: "
            f"{text}"
        ) from None


def parse_budget(text):
    """`"1h30m"` as minutes; `None` stays `None`."""
    if text is None:
        return None
    match = BUDGET.fullmatch(text)
    parts = match.groupdict() if match else {}
    minutes = sum(MINUTES[k] * float(v) for k, v in parts.items() if v)
    if not minutes:
        raise ValueError(
            "Invalid value for option `--budget`. Expected a time with its "
            f"units, such as 90s, 30m, 2h or 1h30m. Received: {text}"
        )
    return minutes


def parse_factor(text):
    """`"0.25..4"` as `(0.25, 4.0)` and `"none"` as `None`."""
    if text.lower() == "none":
        return None
    try:
        low, high = map(float, text.split(".."))
    except ValueError:
        low = high = math.nan
    if not 0 < low < high < math.inf:
        raise ValueError(
            "Invalid value for option `--learning-rate-factor`. Expected the "
            "smallest and the largest factor, both positive, such as 0.25..4, "
            f"or none. Received: {text}"
        )
    return low, high


def parse_ranges(ranges, settings):
    """What `--range` and `--set` say, by technique and hyperparameter."""
    parsed = {
        name: {key: (value,) for key, value in values.items()}
        for name, values in options.parse_settings(settings).items()
    }
    for text in ranges or ():
        path, equals, values = text.partition("=")
        name, dot, key = path.partition(".")
        if not (equals and dot and name and key and values):
            complain(text, "no TECHNIQUE.NAME=VALUES")
        if key in parsed.get(name, {}):
            complain(text, f"{path} has values already")
        parsed.setdefault(name, {})[key] = parse_values(text, values)
    return parsed


def parse_values(text, values):
    """`"1..8"`, `"0.01..1:log"` or `"a,b"`."""
    bounds, colon, scale = values.partition(":")
    low, dots, high = bounds.partition("..")
    if not dots:
        return tuple(parse_word(text, word) for word in values.split(","))
    if colon and scale != "log":
        complain(text, f"the scale {scale!r}")
    low, high = parse_word(text, low), parse_word(text, high)
    if not (is_number(low) and is_number(high)):
        complain(text, "a bound is no number")
    if not low < high:
        complain(text, "the lowest value is not below the highest")
    if colon and low <= 0:
        complain(text, "0 and below have no logarithm")
    if isinstance(low, float) or isinstance(high, float):
        low, high = float(low), float(high)
    return SearchRange(low, high, log=bool(colon))


def parse_word(text, word):
    """A number or, where it is none, the word itself."""
    word = word.strip()
    if not word:
        complain(text, "a value is missing")
    try:
        return ast.literal_eval(word)
    except (SyntaxError, ValueError):
        return word


def is_number(value):
    kind = isinstance(value, (int, float)) and not isinstance(value, bool)
    return kind and math.isfinite(value)


def complain(text, why):
    raise ValueError(
        "Invalid value for option `--range`. Expected "
        "TECHNIQUE.NAME=LOWEST..HIGHEST, with `:log` behind it for a "
        "logarithmic scale, or TECHNIQUE.NAME=A,B,C, such as "
        f"dreg.weight=0.01..1:log. Received: {text} ({why})"
    )
