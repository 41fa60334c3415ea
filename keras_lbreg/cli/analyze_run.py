"""What the commands of `lbreg analyze` do once Keras runs."""

import contextlib
import dataclasses
import pathlib

import rich.progress
import typer

from keras_lbreg.cli.errors import INTERRUPTED
from keras_lbreg.experiments.formatting import format_duration
from keras_lbreg.experiments.lock import lock


@dataclasses.dataclass(frozen=True)
class Diagnostic:
    """A diagnostic, as it is shown and kept.

    Args:
        name: Stem of the files.
        title: Its name in print.
        step: What is counted while it runs, in the plural.
        words: `words(records)` returns lines of plain words.
        plot: `plot(records)` returns a figure.
    """

    name: str
    title: str
    step: str
    words: object
    plot: object


def prepare(paths, data, data_dir, split, count):
    """The models and the samples; bad input ends here."""
    from keras_lbreg.analysis.saved.model_file import read_models
    from keras_lbreg.analysis.saved.samples import load, take_samples

    check_paths(paths)
    samples = take_samples(load(data, data_dir), split, count)
    return tuple(read_models(paths, samples)), samples


def check_paths(paths):
    """A mistyped file is told before a dataset is loaded."""
    for path in map(pathlib.Path, paths):
        if path.suffix != ".keras" or not path.is_file():
            raise ValueError(
                "Invalid value for argument `MODEL`. Expected a file that "
                "exists and ends in .keras, as `lbreg train --out` and "
                f"`model.save` write it. Received: {str(path)!r}"
            )


def folder_of(models, out):
    """The folder of the results."""
    if out is not None:
        return pathlib.Path(out)
    names = [model.name.replace("/", "-") for model in models]
    # A file name has an end.
    kept = "-".join(names)[:100]
    return pathlib.Path("runs") / f"analyze-{kept}"


def run_analysis(diagnostic, jobs, folder, fresh, console):
    """Compute what is not there yet; print, draw and keep all of it."""
    from keras_lbreg.analysis.saved.record_book import RecordBook
    from keras_lbreg.experiments.page import write_file
    from keras_lbreg.experiments.plot_style import to_png

    folder.mkdir(parents=True, exist_ok=True)
    introduce(diagnostic, jobs, console)
    with lock(folder):
        file = folder / f"{diagnostic.name}.json"
        book = RecordBook(file, diagnostic.name, fresh)
        try:
            records = run_jobs(diagnostic, jobs, book, console)
        except KeyboardInterrupt:
            console.print(
                "Interrupted. What is finished is kept: give the same command "
                f"again{' without --fresh' if fresh else ''} for the rest.",
                style="yellow",
            )
            raise typer.Exit(INTERRUPTED) from None
        image = folder / f"{diagnostic.name}.png"
        write_file(image, to_png(diagnostic.plot(records)))
    console.print()
    for line in diagnostic.words(records):
        console.print(line, markup=False)
    console.print(f"\nWrote {file} and {image}", markup=False, soft_wrap=True)


def introduce(diagnostic, jobs, console):
    console.print(
        f"{diagnostic.title} on {jobs[0].samples.title}", markup=False
    )
    models = {id(model): model for job in jobs for model in job.models}
    for model in models.values():
        count = model.description["parameters"]
        console.print(
            f"{model.name}: {count:,} parameters; {'; '.join(model.notes)}",
            markup=False,
            soft_wrap=True,
        )


def run_jobs(diagnostic, jobs, book, console):
    from keras_lbreg.analysis.saved.measure import run_job

    records = []
    with progress_of(console) as progress:
        for number, job in enumerate(jobs, 1):
            task = progress.add_task(job.title, total=job.total, step="")

            def advance(done, task=task):
                text = f"{done:,} {diagnostic.step}"
                progress.update(task, completed=done, step=text)

            record, found = run_job(job, book, advance)
            progress.remove_task(task)
            accuracy = record["result"].get("accuracy")
            right = (
                f", accuracy {100 * accuracy:.1f} %"
                if isinstance(accuracy, float)
                else ""
            )
            how = (
                "computed before"
                if found
                else f"in {format_duration(record['seconds'])}"
            )
            console.print(
                f"[{number}/{len(jobs)}] {job.title}{right}, {how}",
                markup=False,
                soft_wrap=True,
            )
            records.append(record)
    return records


@contextlib.contextmanager
def progress_of(console):
    """A progress display; in a log file, only the finished lines."""
    with rich.progress.Progress(
        rich.progress.SpinnerColumn(),
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(bar_width=24),
        rich.progress.TextColumn("{task.fields[step]}"),
        rich.progress.TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        yield progress
