"""`python -m recipes PAPER run|tables|figures|list`."""

import importlib
import time
from typing import Annotated

import rich.console
import rich.progress
import typer

from keras_lbreg.files import write_file, write_json
from keras_lbreg.formatting import format_duration, rich_table
from keras_lbreg.training.environment import environment
from recipes.figures import write_figures
from recipes.paper import Measurement
from recipes.tables import render_readme

NAMES = (
    "hoffer_2017",
    "yuan_2020",
    "jaiswal_taura",
    "gradient_mix_2023",
    "together",
)
# Exit codes: a run failed, bad input.
RUN_FAILED, BAD_INPUT = 1, 2

EPOCHS = (
    "Epochs. Default: the paper's. Shortened runs have a record of their own, "
    "and are labelled."
)
SAMPLES = "To try it: training samples. Not recorded."
DATA_DIR = "Folder of prepared datasets."
DATASET = "A file of `lbreg data export`, where TensorFlow is not."

console = rich.console.Console(soft_wrap=True)


def load(name):
    """The `Paper` of a recipe's folder."""
    return importlib.import_module(f"recipes.{name}.page").PAPER


def option(kind, help, *names, **settings):
    """The annotation of an option; it may be left out."""
    kind = kind if kind is bool else kind | None
    return Annotated[kind, typer.Option(*names, help=help, **settings)]


def make_app(paper):
    """The commands of one paper."""
    app = typer.Typer(
        help=f"{paper.title}.", no_args_is_help=True, add_completion=False
    )

    @app.command("list")
    def list_parts():
        """List what can be run, and what has been."""
        rows = [
            (part.name, part.title, part.part, state(paper, part))
            for part in (*paper.comparisons, *paper.measurements)
        ]
        head = ("name", "what", "of the paper", "here")
        console.print(rich_table(head, rows, left=4))

    @app.command()
    def run(
        names: Annotated[
            list[str],
            typer.Argument(metavar="NAME...", help="What to run, see `list`."),
        ],
        arms: option(str, "Only some of the arms.", metavar="A,B,...") = None,
        seeds: option(int, "Seeds. Default: the recipe's.", min=1) = None,
        first_seed: option(int, "The first of them.", min=0) = None,
        epochs: option(int, EPOCHS, min=1) = None,
        samples: option(int, SAMPLES, min=16) = None,
        data_dir: option(str, DATA_DIR, envvar="LBREG_DATA_DIR") = None,
        dataset: option(str, DATASET, metavar="FILE.npz") = None,
        fresh: option(bool, "Delete earlier results first.", "--fresh") = False,
    ):
        """Run comparisons or measurements; goes on after an interruption.

        The backend is Keras's: set KERAS_BACKEND to choose. Every run that
        ends is added to the record in the recipe's `results/`.
        """
        failed = False
        options = (arms, first_seed, epochs, samples, dataset, fresh or None)
        for part in [paper.get(name) for name in names]:
            if isinstance(part, Measurement) and any(
                option is not None for option in options
            ):
                raise ValueError(
                    f"{part.name} is a measurement. Expected no options but "
                    "--seeds and --data-dir, with which its result is written "
                    "anew."
                )
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
        path = paper.folder / "README.md"
        write_file(path, render_readme(paper))
        console.print(f"Wrote {path}", markup=False)

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
