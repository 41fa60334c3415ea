"""`lbreg tune`: search good settings of the techniques."""

import os
from typing import Annotated

import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.compare import split_names
from keras_lbreg.cli.console import make_console
from keras_lbreg.cli.errors import (
    INTERRUPTED,
    RUN_FAILED,
    report_errors,
    show_error,
)
from keras_lbreg.cli.tune_options import (
    parse_batch_sizes,
    parse_budget,
    parse_factor,
    parse_ranges,
)
from keras_lbreg.techniques import names

TECHNIQUES = ", ".join(names())
SPACE = "What to try"
SEARCH = "How to search"


@report_errors
def tune(
    name: options.Dataset = "digits",
    batch_size: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help=(
                "The large batch; several are tried beside the rest. "
                "Default: the recipe's."
            ),
            rich_help_panel=SPACE,
        ),
    ] = None,
    techniques: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help=(
                f"Techniques to try on and off: {TECHNIQUES}. Default: all "
                "but regime_adaptation, which trains longer and so wins."
            ),
            rich_help_panel=SPACE,
        ),
    ] = None,
    always: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Techniques that every trial has.",
            rich_help_panel=SPACE,
        ),
    ] = None,
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
        typer.Option(
            metavar="LOW..HIGH|none",
            help=(
                "What the learning rate may be multiplied by, so that no "
                "technique looks good for changing the size of the step."
            ),
            rich_help_panel=SPACE,
        ),
    ] = "0.25..4",
    tuner: Annotated[
        str,
        typer.Option(
            metavar="random|hyperband|bayesian|grid",
            help="KerasTuner's engine that chooses what to try next.",
            rich_help_panel=SEARCH,
        ),
    ] = "random",
    trials: Annotated[
        int,
        typer.Option(
            help="Configurations to try, at most.", rich_help_panel=SEARCH
        ),
    ] = 30,
    executions: Annotated[
        int,
        typer.Option(
            help="Runs of every trial, with seeds 0, 1, ...",
            rich_help_panel=SEARCH,
        ),
    ] = 1,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help=(
                "Begin no trial after so much searching, over all sessions: "
                "90s, 30m, 2h or 1h30m."
            ),
            rich_help_panel=SEARCH,
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            help="Trials at a time on this machine, which share its cores.",
            rich_help_panel=SEARCH,
        ),
    ] = 1,
    seed: Annotated[
        int,
        typer.Option(help="Seed of the engine.", rich_help_panel=SEARCH),
    ] = 0,
    holdout: Annotated[
        float,
        typer.Option(
            help=(
                "Part of the training data that trials are judged by. The "
                "validation data is kept for the winner."
            ),
            rich_help_panel=SEARCH,
        ),
    ] = 0.2,
    confirm_seeds: Annotated[
        int,
        typer.Option(
            help=(
                "Fresh seeds that the winner is compared on with the small "
                "and the untuned large batch. 0: no comparison."
            ),
            rich_help_panel=SEARCH,
        ),
    ] = 3,
    small_batch_size: options.SmallBatchSize = None,
    epochs: options.Epochs = None,
    backend: options.Backend = None,
    strategy: Annotated[
        str,
        typer.Option(
            metavar="one|auto|mirrored|jax-data-parallel",
            help=(
                "How devices share every batch of a trial: one device, or the "
                "GPUs of this machine (mirrored; jax-data-parallel on JAX)."
            ),
            rich_help_panel=options.WHERE,
        ),
    ] = "one",
    devices: options.Devices = None,
    virtual_devices: options.VirtualDevices = None,
    data_dir: options.DataDir = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder of the search. Default: runs/tune-NAME.",
            rich_help_panel=options.WHERE,
        ),
    ] = None,
    fresh: options.Fresh = False,
    debug: options.Debug = False,
):
    """
    Search good settings of the techniques for a large batch.

    Tries techniques on and off, with their settings and a factor on the
    learning rate, at the large batch and equal epochs. A trial is judged by
    the accuracy of its plain network on data held out of the training data.
    The winner is then trained again on all of it, with fresh seeds, beside the
    small and the untuned large batch, and judged by the validation data.

    **Interrupted?** Give the same command again. No trial is lost or run
    twice; a half run goes on from its last saved epoch. `--trials`,
    `--budget` and `--workers` may be others then.

    **Examples**

    ```shell
    lbreg tune                            # digits: 30 trials
    lbreg tune digits --trials 60 --executions 2 --workers 2
    lbreg tune mnist --tuner hyperband --budget 2h
    lbreg tune digits --techniques dreg --always lr_scaling \\
        --range dreg.weight=0.01..1:log --set dreg.distance=bounded
    lbreg tune my_data.npz --batch-size 1024,4096 --backend jax
    ```

    **What comes out**, in `runs/tune-NAME/`

    - `best.json`: the winner, for `lbreg train --config`
    - `report.html`: the whole search on one page, to read first
    - `trials.csv`, `trials.json`, `table.md` and `plots/`: all trials
    - `confirm/`: the comparison on fresh seeds, with a report of its own
    - `trials/N/`: what trial N recorded, and `log.txt`, what it printed
    - `ledger.jsonl`: what happened when; the search goes on from it
    - `tensorboard/`: for the HParams tab (TensorFlow backend only)

    Exit status: 0 the search ended, 1 no trial succeeded or the comparison
    failed, 2 wrong usage, 130 interrupted.
    """
    wanted = {
        "batch_sizes": parse_batch_sizes(batch_size),
        "techniques": split_names(techniques),
        "always": split_names(always) or (),
        "ranges": parse_ranges(ranges, settings),
        "learning_rate_factor": parse_factor(learning_rate_factor),
        "budget": parse_budget(budget),
    }
    from keras_lbreg.cli.backend import is_installed, start_keras

    if os.name != "posix":
        raise ValueError(
            "`lbreg tune` needs Linux or macOS: it relies on process groups. "
            "`keras_lbreg.tuning.LargeBatchHyperModel` works with KerasTuner "
            "itself on other systems."
        )
    if not is_installed("keras_tuner"):
        raise ImportError(
            "`lbreg tune` needs KerasTuner. Install it with `pip install "
            '"keras-lbreg[tune]"`, in a clone `pip install ".[tune]"`.'
        )
    # The trials have devices; this process only talks to them.
    running = start_keras(backend)

    from keras_lbreg.cli.show_search import show_search
    from keras_lbreg.cli.tune_display import make_tune_display
    from keras_lbreg.search import Search, run_search
    from keras_lbreg.search.confirmation.confirm import confirm
    from keras_lbreg.search.machines.search_role import read_search_role

    search = Search(
        name,
        tuner=tuner,
        trials=trials,
        executions=executions,
        seed=seed,
        small_batch_size=small_batch_size,
        epochs=epochs,
        holdout=holdout,
        confirm_seeds=confirm_seeds,
        data_dir=data_dir,
        out_dir=out,
        strategy=strategy,
        devices=devices,
        virtual_devices=virtual_devices,
        backend=running,
        workers=workers,
        **wanted,
    )
    console = make_console()
    role = read_search_role()
    is_worker = role is not None and not role.is_chief
    failure = None
    try:
        with make_tune_display(console, lines=is_worker) as display:
            results = run_search(search, display, fresh=fresh)
            if is_worker:
                console.print("No trial is left. The results are the chief's.")
                raise typer.Exit
            if results.best is not None and confirm_seeds:
                try:
                    confirm(results, display)
                except RuntimeError as error:
                    # What the search has found is shown all the same.
                    failure = error
    except KeyboardInterrupt:
        console.print(
            "Interrupted. Nothing is lost: give the same command again"
            f"{' without --fresh' if fresh else ''} and it goes on. "
            f"`lbreg report {search.out_dir}` shows what there is.",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    good = show_search(results, console)
    if failure is not None:
        show_error(failure, title="The comparison failed")
    raise typer.Exit(0 if good and failure is None else RUN_FAILED)
