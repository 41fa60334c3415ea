"""The command line of a recipe: `python -m recipes.NAME`."""

import contextlib
import pathlib
import time
from typing import Annotated

import rich.box
import rich.progress
import rich.table
import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.compare import split_names
from keras_lbreg.cli.console import make_console
from keras_lbreg.cli.errors import INTERRUPTED, RUN_FAILED, report_errors
from keras_lbreg.cli.live import make_display
from keras_lbreg.cli.show_results import print_table
from keras_lbreg.experiments import compare
from keras_lbreg.experiments.environment import environment
from keras_lbreg.experiments.headline import headline
from keras_lbreg.experiments.json_file import write_json
from keras_lbreg.experiments.lock import lock
from keras_lbreg.experiments.table import table_rows
from recipes.study.page import rewrite_page, write_figures
from recipes.study.study import Measurement

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME...", help="What to run, see `list`; `all` for everything."
    ),
]


def make_app(study):
    """The typer application of a study.

    Args:
        study: The `Study`.

    Returns:
        A `typer.Typer`.

    Example:

    >>> make_app(STUDY)()

    Reference: `recipes/README.md` describes the commands.
    """
    app = typer.Typer(
        name=f"python -m recipes.{study.name}",
        help=f"{study.title}: tables and figures.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.command("list")
    @report_errors
    def list_parts(debug: options.Debug = False):
        """List what can be run, and what has been."""
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
        for column in ("name", "what", "of the paper", "here"):
            table.add_column(column)
        for part in (*study.comparisons, *study.measurements):
            table.add_row(part.name, part.title, part.part, state(study, part))
        make_console().print(table)

    @app.command("run")
    @report_errors
    def run(
        names: Names,
        seeds: Annotated[
            int | None, typer.Option(help="Seeds. Default: the recipe's.")
        ] = None,
        first_seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
        epochs: Annotated[
            int | None,
            typer.Option(
                help="Epochs. Default: the paper's. Shortened runs get a "
                "results folder of their own, and are labelled."
            ),
        ] = None,
        arms: Annotated[
            str | None,
            typer.Option(metavar="A,B,...", help="Only some of the arms."),
        ] = None,
        dataset: Annotated[
            str | None,
            typer.Option(
                metavar="FILE.npz",
                help="A file of `lbreg data export`, to read the data from "
                "where TensorFlow is not.",
            ),
        ] = None,
        data_dir: options.DataDir = None,
        out: Annotated[
            str | None,
            typer.Option(help="Folder of the results, of one NAME alone."),
        ] = None,
        fresh: options.Fresh = False,
        debug: options.Debug = False,
    ):
        """
        Run comparisons or measurements; continues what was interrupted.

        The backend is Keras's: set KERAS_BACKEND to choose. Results go into
        the recipe's `results/`, one line per epoch as they come.
        """
        console = make_console()
        chosen = study.names() if names == ["all"] else names
        parts = [study.get(name) for name in chosen]
        if out is not None and len(parts) > 1:
            raise ValueError(
                "Invalid value for argument `out`. Expected one NAME with it. "
                f"Received: {len(parts)}"
            )
        failed = False
        with interruptible(console):
            for part in parts:
                folder = pathlib.Path(out or study.path(part.name, epochs))
                console.print(f"{part.name}: {part.title}", style="bold")
                if isinstance(part, Measurement):
                    run_measurement(
                        part,
                        folder,
                        {"seeds": seeds, "data_dir": data_dir},
                        console,
                    )
                    continue
                experiment = part.experiment(
                    folder,
                    seeds,
                    first_seed,
                    epochs,
                    split_names(arms),
                    dataset,
                    data_dir,
                )
                failed |= run_comparison(experiment, fresh, console)
        if failed:
            raise typer.Exit(RUN_FAILED)

    @app.command("pages")
    @report_errors
    def pages(debug: options.Debug = False):
        """
        Write the README's tables and the figures anew from the results.

        Nothing is trained.
        """
        console = make_console()
        for path in (*write_figures(study), *rewrite_page(study)):
            console.print(f"Wrote {path}", markup=False, soft_wrap=True)

    return app


def run_comparison(experiment, fresh, console):
    """Run it with a display; return whether a run failed."""
    with make_display(console, experiment.extra_arms) as display:
        results = compare(experiment, display, fresh=fresh)
    print_table(table_rows(results), console)
    console.print(headline(results), markup=False)
    return any(run.status == "failed" for run in results.runs)


def run_measurement(part, folder, settings, console):
    """Measure with a progress bar and write `measurement.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with lock(folder), rich.progress.Progress(console=console) as progress:
        task = progress.add_task(part.name, total=None)
        measured = part.measure(
            settings,
            lambda done, total: progress.update(
                task, completed=done, total=total
            ),
        )
    write_json(
        folder / "measurement.json",
        {
            **environment(),
            "seconds": time.monotonic() - start,
            "measured": measured,
        },
    )
    console.print(
        f"Wrote {folder / 'measurement.json'}", markup=False, soft_wrap=True
    )


def state(study, part):
    """What there is of a part, in words."""
    if isinstance(part, Measurement):
        return "measured" if study.measured(part.name) else "not run"
    texts = []
    for results in study.all_results(part.name):
        done = sum(run.status == "finished" for run in results.runs)
        total = len(results.arms) * len(results.manifest["seeds"])
        epochs = results.manifest["config"]["epochs"]
        texts.append(f"{done} of {total} runs, {epochs} epochs")
    return "; ".join(texts) or "not run"


@contextlib.contextmanager
def interruptible(console):
    """Say after Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(
            "Interrupted. The same command goes on from the last saved epoch.",
            style="yellow",
        )
        raise typer.Exit(INTERRUPTED) from None
