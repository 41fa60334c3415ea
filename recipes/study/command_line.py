"""The command line of a recipe: `python -m recipes.NAME`."""

import contextlib
import functools
import pathlib
import time
from typing import Annotated

import rich.box
import rich.console
import rich.progress
import rich.table
import typer

from keras_lbreg.files import lock, write_json
from keras_lbreg.training.environment import environment
from recipes.study.page import rewrite_page, write_figures
from recipes.study.study import Measurement

# Exit codes: a run failed, bad input, Ctrl-C.
RUN_FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME...", help="What to run, see `list`; `all` for everything."
    ),
]


def make_app(study):
    """The typer application of a `Study`."""
    app = typer.Typer(
        name=f"python -m recipes.{study.name}",
        help=f"{study.title}: tables and figures.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    console = rich.console.Console()

    @app.command("list")
    @report_errors
    def list_parts():
        """List what can be run, and what has been."""
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
        for column in ("name", "what", "of the paper", "here"):
            table.add_column(column)
        for part in (*study.comparisons, *study.measurements):
            table.add_row(part.name, part.title, part.part, state(study, part))
        console.print(table)

    @app.command("run")
    @report_errors
    def run(
        names: Names,
        seeds: Annotated[
            int | None,
            typer.Option(min=1, help="Seeds. Default: the recipe's."),
        ] = None,
        first_seed: Annotated[
            int | None,
            typer.Option(min=0, help="The first seed. Default: the recipe's."),
        ] = None,
        epochs: Annotated[
            int | None,
            typer.Option(
                min=1,
                help="Epochs. Default: the paper's. Shortened runs get a "
                "results folder of their own, and are labelled.",
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
        data_dir: Annotated[
            str | None,
            typer.Option(
                envvar="LBREG_DATA_DIR", help="Folder of prepared datasets."
            ),
        ] = None,
        out: Annotated[
            str | None,
            typer.Option(help="Folder of the results, of one NAME alone."),
        ] = None,
        fresh: Annotated[
            bool,
            typer.Option("--fresh", help="Delete earlier results first."),
        ] = False,
    ):
        """
        Run comparisons or measurements; continues what was interrupted.

        The backend is Keras's: set KERAS_BACKEND to choose. Results go into
        the recipe's `results/`, one line per epoch as they come.
        """
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
                    settings = {"seeds": seeds, "data_dir": data_dir}
                    run_measurement(part, folder, settings, console)
                    continue
                results = part.run(
                    folder,
                    seeds,
                    first_seed,
                    arms and [a.strip() for a in arms.split(",")],
                    fresh,
                    epochs=epochs,
                    dataset=dataset,
                    data_dir=data_dir,
                )
                console.print(str(results), markup=False, soft_wrap=True)
                failed |= any(run.status != "finished" for run in results.runs)
        if failed:
            raise typer.Exit(RUN_FAILED)

    @app.command("pages")
    @report_errors
    def pages():
        """
        Write the README's tables and the figures anew from the results.

        Nothing is trained.
        """
        for path in (*write_figures(study), *rewrite_page(study)):
            console.print(f"Wrote {path}", markup=False, soft_wrap=True)

    return app


def run_measurement(part, folder, settings, console):
    """Measure with a progress bar and write `measurement.json`."""
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


def report_errors(command):
    """The command, with bad input said in one line and exit code 2."""

    @functools.wraps(command)
    def reported(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except (ValueError, OSError) as error:
            console = rich.console.Console(stderr=True)
            console.print(f"Error: {error}", markup=False, soft_wrap=True)
            raise typer.Exit(BAD_INPUT) from error

    return reported


@contextlib.contextmanager
def interruptible(console):
    """After Ctrl-C, say that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(
            "Interrupted. The same command goes on from the last saved epoch.",
            style="yellow",
        )
        raise typer.Exit(INTERRUPTED) from None
