"""`lbreg tune`: search good settings of the techniques."""

import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import start_keras
from keras_lbreg.cli.errors import RUN_FAILED, report_errors
from keras_lbreg.cli.options import WHERE, folder, number, option, split
from keras_lbreg.formatting import make_console, rich_table
from keras_lbreg.techniques import SearchRange, names

SPACE = "What to try"
SEARCH = "How to search"


@report_errors
def tune(
    workload: options.OptionalWorkload = "digits",
    batch_size: number(
        SPACE,
        "The large batch; may be repeated, to try several. Default: the "
        "workload's.",
        list[int] | None,
    ) = None,
    techniques: option(
        str | None,
        SPACE,
        "A,B,...",
        f"Techniques to try on and off: {', '.join(names())}. Default: all "
        "that suit the model, but regime_adaptation, which trains longer.",
    ) = None,
    always: option(
        str, SPACE, "A,B,...", 'Techniques that every trial has, or "".'
    ) = "lr_scaling",
    ranges: option(
        list[str] | None,
        SPACE,
        "T.NAME=VALUES",
        "Other values to try than a technique's own: "
        "dreg.weight=0.01..1:log, lr_scaling.warmup_epochs=0..3 (integers), "
        "dreg.layer=dense_1,dense_2, or one value, which is not searched. May "
        "be repeated.",
        "--range",
    ) = None,
    learning_rate_factor: option(
        str,
        SPACE,
        "LOW..HIGH",
        "What the learning rate may be multiplied by, or none.",
    ) = "0.25..4",
    engine: option(
        str,
        SEARCH,
        "NAME",
        "KerasTuner's engine that chooses what to try next: random, bayesian, "
        "hyperband or grid.",
    ) = "random",
    trials: number(SEARCH, "Configurations to try, at most.") = 30,
    executions: number(SEARCH, "Runs of every trial, with seeds 0, 1, ...") = 1,
    budget: option(
        float | None,
        SEARCH,
        "MINUTES",
        "Begin no trial after so much searching, over all sessions.",
    ) = None,
    workers: number(SEARCH, "Trials at a time: so many processes search.") = 1,
    seed: number(SEARCH, "Seed of the engine.") = 0,
    holdout: option(
        float,
        SEARCH,
        "SHARE",
        "Part of the training data that trials are judged by. The validation "
        "data are kept for the winner.",
    ) = 0.2,
    confirm_seeds: number(
        SEARCH,
        "Fresh seeds that the winner is compared on with the small batch, the "
        "large batch and the best learning rate. 0: no comparison.",
    ) = 3,
    small_batch_size: options.SmallBatchSize = None,
    epochs: options.Epochs = None,
    backend: options.Backend = None,
    strategy: option(
        str,
        WHERE,
        "NAME",
        "How devices share every batch of a trial: one, mirrored, "
        "jax-data-parallel or auto.",
    ) = "one",
    devices: options.Devices = None,
    virtual_devices: options.VirtualDevices = None,
    data_dir: options.DataDir = None,
    out: folder("Folder of the search. Default: runs/tune-NAME.") = None,
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
    lbreg tune train.py --batch-size 4096 --executions 2 --budget 120
    lbreg tune mnist --engine hyperband --workers 2
    lbreg tune digits --techniques dreg \\
        --range dreg.weight=0.01..1:log --range dreg.distance=bounded
    ```

    **What comes out**, in `runs/tune-NAME/`

    - `best.json`: the winner, for `lbreg train --config`
    - `report.html`: the whole search on one page, to read first
    - `table.md`, `trials.csv` and `plots/`: the same in pieces
    - `confirm-N/`: the comparison on fresh seeds, with a report of its own
    - `search/`: KerasTuner's project, with the records of every trial

    Exit status: 0 the search ended, 1 no trial succeeded or a run of the
    comparison failed, 2 wrong usage, 130 interrupted, 143 terminated.
    """
    factor = None
    if learning_rate_factor != "none":
        factor = parse_range("--learning-rate-factor", learning_rate_factor)
        factor = factor.low, factor.high
    wanted = {
        "batch_size": batch_size or None,
        "techniques": None if techniques is None else split(techniques),
        "always": split(always),
        "ranges": {
            name: {key: parse_values(x) for key, x in given.items()}
            for name, given in options.parse_settings(ranges, "--range").items()
        },
        "learning_rate_factor": factor,
    }
    start_keras(backend, virtual_devices)

    from keras_lbreg.tuning import tune as search

    result = search(
        options.load_workload(
            workload, data_dir, None, small_batch_size, epochs
        ),
        trials=trials,
        engine=engine,
        executions=executions,
        budget=budget,
        seed=seed,
        holdout=holdout,
        out=out,
        confirm_seeds=confirm_seeds,
        workers=workers,
        strategy=strategy,
        devices=devices,
        fresh=fresh,
        **wanted,
    )
    print_search(result, make_console())
    runs = result.confirmation.runs if result.confirmation else ()
    failed = any(run.status != "finished" for run in runs)
    raise typer.Exit(RUN_FAILED if failed or result.best is None else 0)


def print_search(result, console):
    """Prints the best trials, the comparison on fresh seeds, and files."""
    from keras_lbreg.comparison.table import to_rich
    from keras_lbreg.tuning.report import columns, failures, table_rows

    names = columns(result)
    console.print(rich_table(names, table_rows(result), left=len(names)))
    for line in failures(result):
        console.print(f"Failed: {line}", style="red")
    confirmation = result.confirmation
    if confirmation is not None:
        console.print(to_rich(confirmation, console.width))
    console.print(result.headline())
    if result.best is not None:
        console.print(f"The winner: {result.best_path}", soft_wrap=True)
    console.print(f"Report: {result.report_path}", soft_wrap=True)


def parse_values(value):
    """A number, a tuple of them, or in words a range, or choices."""
    if not isinstance(value, str):
        return value
    return parse_range("--range", value) if ".." in value else split(value)


def parse_range(name, text):
    """`"1..8"` or `"0.01..1:log"` as a `SearchRange`."""
    bounds, _, scale = text.partition(":")
    try:
        low, high = (
            int(end) if end.strip("-").isdecimal() else float(end)
            for end in bounds.split("..")
        )
        return SearchRange(low, high, log={"log": True, "": False}[scale])
    except (ValueError, KeyError):
        raise ValueError(
            f"Invalid value for option `{name}`. Expected LOWEST..HIGHEST, "
            "with `:log` behind it for a logarithmic scale of positive "
            f"values. Received: {text}"
        ) from None
