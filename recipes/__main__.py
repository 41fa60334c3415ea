"""`python -m recipes PAPER run|tables|figures|list`."""

import importlib
import time
from typing import Annotated

import rich.box
import rich.console
import rich.progress
import rich.table
import typer

from keras_lbreg.files import write_json
from keras_lbreg.formatting import format_duration
from keras_lbreg.training.environment import environment
from recipes.figures import write_figures
from recipes.paper import Measurement
from recipes.tables import rewrite_readme

NAMES = (
    "hoffer_2017",
    "yuan_2020",
    "jaiswal_taura",
    "gradient_mix_2023",
    "together",
)
# Exit codes: a run failed, bad input.
RUN_FAILED, BAD_INPUT = 1, 2

console = rich.console.Console(soft_wrap=True)


def load(name):
    """The `Paper` of a recipe's folder."""
    return importlib.import_module(f"recipes.{name}.page").PAPER


def make_app(paper):
    """The commands of one paper."""
    app = typer.Typer(
        help=f"{paper.title}.", no_args_is_help=True, add_completion=False
    )

    @app.command("list")
    def list_parts():
        """List what can be run, and what has been."""
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
        for column in ("name", "what", "of the paper", "here"):
            table.add_column(column)
        for part in (*paper.comparisons, *paper.measurements):
            table.add_row(part.name, part.title, part.part, state(paper, part))
        console.print(table)

    @app.command()
    def run(
        names: Annotated[
            list[str],
            typer.Argument(metavar="NAME...", help="What to run, see `list`."),
        ],
        arms: Annotated[
            str | None,
            typer.Option(metavar="A,B,...", help="Only some of the arms."),
        ] = None,
        seeds: Annotated[
            int | None,
            typer.Option(min=1, help="Seeds. Default: the recipe's."),
        ] = None,
        first_seed: Annotated[
            int | None, typer.Option(min=0, help="The first of them.")
        ] = None,
        epochs: Annotated[
            int | None,
            typer.Option(
                min=1,
                help="Epochs. Default: the paper's. Shortened runs have a "
                "record of their own, and are labelled.",
            ),
        ] = None,
        samples: Annotated[
            int | None,
            typer.Option(
                min=16, help="To try it: training samples. Not recorded."
            ),
        ] = None,
        data_dir: Annotated[
            str | None,
            typer.Option(
                envvar="LBREG_DATA_DIR", help="Folder of prepared datasets."
            ),
        ] = None,
        dataset: Annotated[
            str | None,
            typer.Option(
                metavar="FILE.npz",
                help="A file of `lbreg data export`, where TensorFlow is not.",
            ),
        ] = None,
        fresh: Annotated[
            bool, typer.Option("--fresh", help="Delete earlier results first.")
        ] = False,
    ):
        """Run comparisons or measurements; goes on after an interruption.

        The backend is Keras's: set KERAS_BACKEND to choose. Every run that
        ends is added to the record in the recipe's `results/`.
        """
        failed = False
        for part in [paper.get(name) for name in names]:
            console.print(f"{part.name}: {part.title}", style="bold")
            if isinstance(part, Measurement):
                path = measure(paper, part, seeds=seeds, data_dir=data_dir)
                console.print(f"Wrote {path}", markup=False)
                continue
            results = paper.run(
                part.name,
                arms=arms and arms.split(","),
                seeds=seeds,
                first_seed=first_seed,
                epochs=epochs,
                samples=samples,
                data_dir=data_dir,
                dataset=dataset,
                fresh=fresh,
            )
            console.print(str(results), markup=False)
            failed |= any(run.status != "finished" for run in results.runs)
        if failed:
            raise typer.Exit(RUN_FAILED)

    @app.command()
    def tables():
        """Write the README's tables anew from the records."""
        console.print(f"Wrote {rewrite_readme(paper)}", markup=False)

    @app.command()
    def figures():
        """Draw the figures anew from the records."""
        for path in write_figures(paper):
            console.print(f"Wrote {path}", markup=False)

    return app


def measure(paper, part, **settings):
    """Measures with a progress bar; the path of what is written."""
    start = time.monotonic()

    def progress(things):
        return rich.progress.track(list(things), part.name, console=console)

    measured = part.measure(progress, **settings)
    path = paper.measurement_path(part.name)
    seconds = time.monotonic() - start
    content = {**environment(), "seconds": seconds, "measured": measured}
    write_json(path, content)
    return path


def state(paper, part):
    """What there is of a part, in words."""
    if isinstance(part, Measurement):
        content = paper.measured(part.name)
        return format_duration(content["seconds"]) if content else "not run"
    texts = []
    for results in paper.records(part.name):
        total = len(results.arms) * len(results.manifest["seeds"])
        epochs = results.manifest["config"]["epochs"]
        texts.append(f"{len(results.runs)} of {total} runs, {epochs} epochs")
    return "; ".join(texts) or "not run"


def main():
    app = typer.Typer(
        help=__doc__,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name in NAMES:
        app.add_typer(make_app(load(name)), name=name)
    try:
        app(prog_name="python -m recipes")
    except (ValueError, OSError) as error:
        console.print(f"Error: {error}", markup=False)
        raise SystemExit(BAD_INPUT) from error


if __name__ == "__main__":
    main()
