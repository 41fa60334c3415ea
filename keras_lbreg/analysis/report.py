"""Diagnostics of saved models on a workload: table, plots and page."""

import dataclasses
import pathlib
import time
from collections.abc import Callable

import numpy as np

from keras_lbreg.analysis.gradient_noise_scale import (
    check_batches,
    gradient_noise_scale,
)
from keras_lbreg.analysis.hessian_top_eigenvalue import hessian_top_eigenvalue
from keras_lbreg.analysis.interpolate import interpolate
from keras_lbreg.analysis.measures import MEASURES as KNOWN
from keras_lbreg.analysis.saved_models import read_models, take_samples
from keras_lbreg.analysis.sharpness import sharpness
from keras_lbreg.checks import check_positive_int, check_positive_number
from keras_lbreg.files import lock, read_json, write_file, write_json
from keras_lbreg.formatting import MISSING, format_duration, markdown_table
from keras_lbreg.page import render_page
from keras_lbreg.plot_style import Plot
from keras_lbreg.training.environment import environment, provenance
from keras_lbreg.workloads import Workload, get_workload

SCHEMA = 2

# What `analyze` measures of each model.
FUNCTIONS = {
    "sharpness": sharpness,
    "hessian": hessian_top_eigenvalue,
    "noise": gradient_noise_scale,
}
MEASURES = tuple(FUNCTIONS)


def analyze(
    paths,
    workload,
    what=MEASURES,
    samples=10_000,
    split="train",
    seed=0,
    epsilons=(1e-3, 5e-4),
    subspace=None,
    iterations=10,
    tolerance=1e-3,
    max_iterations=100,
    small_batch=64,
    big_batch=1024,
    pairs=20,
    statistics="batch",
    out=None,
    fresh=False,
    on_progress=None,
    on_result=None,
):
    """Measures saved models on the data of a workload, side by side.

    A result that is there for the same file, data and settings is not computed
    again, so that an interrupted call goes on where it stopped.

    Args:
        paths: `.keras` files, one or several of one architecture.
        workload: A `Workload`, or what `get_workload` takes. Sample weights
            and augmentation are left out.
        what: Names out of `"sharpness"`, `"hessian"` and `"noise"`, see
            `keras_lbreg.sharpness`, `hessian_top_eigenvalue` and
            `gradient_noise_scale`. Defaults to all.
        samples: Use so many samples, chosen at random; `None` for all.
        split: `"train"` or `"val"`.
        seed: Seed of random directions, batches and the choice of samples.
        epsilons: Sizes of the box of the sharpness.
        subspace, iterations: Of the sharpness.
        tolerance, max_iterations: Of the eigenvalue.
        small_batch, big_batch, pairs, statistics: Of the noise scale.
        out: Folder. Defaults to `runs/analyze-` and the files' names.
        fresh: Whether to forget the results in the folder.
        on_progress: Optional, called as `on_progress(title, done, total,
            unit)`; `total` is `None` where it is not known.
        on_result: Optional, called with a line of text for every result.

    Returns:
        An `Analysis`: `table()`, `words()`, `records`, `report_path`.

    Raises:
        ValueError: A file, the data or an argument is invalid.
    """
    what = [what] if isinstance(what, str) else list(dict.fromkeys(what))
    if not what or set(what) - set(MEASURES):
        raise ValueError(
            f"Invalid value for argument `what`. Expected names out of "
            f"{', '.join(MEASURES)}. Received: what={what!r}"
        )
    # Before models are loaded: of numbers, mistakes are found at once.
    for epsilon in epsilons:
        check_positive_number("epsilons", epsilon)
    check_positive_number("tolerance", tolerance)
    check_positive_int("iterations", iterations)
    check_positive_int("pairs", pairs)
    models, chosen, _ = read(paths, workload, split, samples, seed)
    box = {"subspace": subspace, "iterations": iterations, "seed": seed}
    settings = {
        "sharpness": [
            {"epsilon": epsilon, **box} for epsilon in dict.fromkeys(epsilons)
        ],
        "hessian": [
            {
                "tolerance": tolerance,
                "max_iterations": max_iterations,
                "seed": seed,
            }
        ],
    }
    if "noise" in what:
        there = chosen.description["samples"]
        settings["noise"] = [
            {
                "small_batch": small_batch,
                "big_batch": check_batches(small_batch, big_batch, there),
                "pairs": pairs,
                "seed": seed,
                "statistics": statistics,
            }
        ]
    jobs = [
        model_job(measure, model, chosen, one)
        for measure in MEASURES
        if measure in what
        for one in settings[measure]
        for model in models
    ]
    return run_jobs(jobs, models, out, fresh, on_progress, on_result)


def analyze_interpolation(
    path_a,
    path_b,
    workload,
    points=25,
    start=-1.0,
    end=2.0,
    statistics="estimate",
    samples=10_000,
    seed=0,
    out=None,
    fresh=False,
    on_progress=None,
    on_result=None,
):
    """Measures the loss along the line through two saved models.

    Args:
        path_a, path_b: `.keras` files of the models at a = 0 and a = 1, of
            one architecture.
        points, start, end: Number of values of a, the first and the last.
        statistics: Of batch normalization: `"estimate"` measures them anew at
            each point, `"interpolate"` moves them along.
        samples: At most so many training and validation samples.
        workload, seed, out, fresh, on_progress, on_result: As for `analyze`.

    Returns:
        An `Analysis`.

    Reference:

    - [Keskar et al., 2017](https://arxiv.org/abs/1609.04836), Figure 3
    """
    if not start < end or points < 2:
        raise ValueError(
            "Invalid value for arguments `points`, `start` and `end`. Expected "
            "two points or more, from a smaller a to a larger one. Received: "
            f"points={points}, start={start:g}, end={end:g}"
        )
    paths = [path_a, path_b]
    models, chosen, workload = read(paths, workload, "train", samples, seed)
    others = take_samples(workload, "val", samples, seed)
    # Rounded: 0 and 1 are among them, and the file is read by people.
    positions = np.round(np.linspace(start, end, points), 9).tolist()
    job = line_job(models, chosen, others, positions, statistics)
    return run_jobs([job], models, out, fresh, on_progress, on_result)


def read(paths, workload, split, samples, seed):
    """The models, the samples and the workload; bad input ends here."""
    paths = [paths] if isinstance(paths, (str, pathlib.Path)) else list(paths)
    if not isinstance(workload, Workload):
        workload = get_workload(workload)
    chosen = take_samples(workload, split, samples, seed)
    return read_models(paths, chosen, workload), chosen, workload


@dataclasses.dataclass(frozen=True)
class Job:
    """One result to be had: `run(on_progress)` returns it as plain data."""

    measure: str
    models: tuple
    samples: object
    settings: dict
    run: Callable
    total: int | None = None

    @property
    def title(self):
        text = " to ".join(model.name for model in self.models)
        epsilon = self.settings.get("epsilon")
        return text if epsilon is None else f"{text}, ε = {epsilon:g}"


def model_job(measure, model, samples, settings):
    """The `Job` of one of the public functions on one model."""
    data = (model.model, samples.x, samples.y)

    def run(on_progress):
        found = FUNCTIONS[measure](*data, on_progress=on_progress, **settings)
        # Infinity is null in JSON, and an eigenvector is long.
        values = {
            name: None if value == float("inf") else value
            for name, value in vars(found).items()
            if name != "eigenvector"
        }
        return {**fit_of(model.model, samples), **values}

    total = settings.get("pairs")
    return Job(measure, (model,), samples, settings, run, total)


def fit_of(model, samples):
    """Loss, and accuracy of a classifier, on the samples."""
    results = model.evaluate(
        samples.x, samples.y, batch_size=1000, verbose=0, return_dict=True
    )
    return {k: v for k, v in results.items() if k in ("loss", "accuracy")}


def line_job(models, samples, others, positions, statistics):
    """The `Job` of the line through two models, on both parts of the data."""
    ends = [model.model for model in models]
    data = {"train": (samples.x, samples.y), "val": (others.x, others.y)}
    options = (data, positions, statistics, samples.x)

    def run(on_progress):
        line = interpolate(*ends, *options, on_progress=on_progress)
        result = {"positions": positions, "loss": finite(line.loss)}
        if "accuracy" in fit_of(ends[0], others):
            result["accuracy"] = finite(line.accuracy)
        return result

    settings = {
        "positions": positions,
        "statistics": statistics,
        "validation": others.description,
    }
    total = len(positions)
    return Job("interpolate", models, samples, settings, run, total)


def finite(curves):
    """Curves as JSON takes them."""
    return {
        name: [float(v) if np.isfinite(v) else None for v in values]
        for name, values in curves.items()
    }


def run_jobs(jobs, models, out, fresh, on_progress, on_result):
    """Computes what is not there yet, and writes all of it."""
    names = "-".join(model.name.replace("/", "-") for model in models)
    # A file name has an end.
    folder = pathlib.Path(out or f"runs/analyze-{names[:100]}")
    with lock(folder):
        books = {
            measure: RecordBook(folder / f"{measure}.json", measure, fresh)
            for measure in dict.fromkeys(job.measure for job in jobs)
        }
        records = {measure: [] for measure in books}
        for number, job in enumerate(jobs, 1):
            measure = KNOWN[job.measure]

            def advance(done, job=job, unit=measure.unit):
                if on_progress is not None:
                    on_progress(job.title, done, job.total, unit)

            advance(0)
            record, found = books[job.measure].result_of(job, advance)
            records[job.measure].append(record)
            if on_result is not None:
                how = f"in {format_duration(record['seconds'])}"
                on_result(
                    f"[{number}/{len(jobs)}] {measure.title} of {job.title}, "
                    f"{'computed before' if found else how}"
                )
        analysis = Analysis(folder, records, jobs[0].samples.title)
        analysis.write()
    return analysis


class RecordBook:
    """Results of one diagnostic in a JSON file, each computed once.

    The file is replaced as a whole after each result, so that an interruption
    loses at most the one in the making. A damaged file is left as it is.
    """

    def __init__(self, file, measure, fresh=False):
        self.file, self.measure, self.records = file, measure, []
        if fresh or not file.exists():
            return
        content = read_json(file)
        try:
            if (content["schema"], content["analysis"]) != (SCHEMA, measure):
                raise ValueError("it is of another diagnostic or version")
            for record in content["records"]:
                identity(record)
                if not isinstance(record["result"], dict):
                    raise ValueError("a result is missing")
                float(record["seconds"])
            self.records = list(content["records"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"Cannot read {file}: it does not hold results of "
                f"{measure!r} as this version writes them ({error}). Nothing "
                "was changed. Move it away, use another folder, or start "
                "again with `fresh`."
            ) from error

    def result_of(self, job, on_progress):
        """The record of a job, and whether it was there before."""
        record = {
            "models": [model.description for model in job.models],
            "data": job.samples.description,
            "settings": job.settings,
        }
        for found in self.records:
            if identity(found) == identity(record):
                # The file may have been renamed since.
                return {**found, "models": record["models"]}, True
        start = time.perf_counter()
        try:
            record["result"] = job.run(on_progress)
        except (ValueError, RuntimeError) as error:
            names = " and ".join(str(model.path) for model in job.models)
            kind = ValueError if isinstance(error, ValueError) else RuntimeError
            raise kind(f"{names}: {error}") from error
        record["seconds"] = time.perf_counter() - start
        record["environment"] = environment()
        self.records.append(record)
        content = {"analysis": self.measure, "records": self.records}
        write_json(self.file, {"schema": SCHEMA, **content})
        return record, False


def identity(record):
    """What makes one result differ from another; names of files do not."""
    return (
        [model["sha256"] for model in record["models"]],
        record["data"]["checksum"],
        record["settings"],
    )


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What `analyze` or `analyze_interpolation` found in a folder.

    `records` holds lists by diagnostic, as the JSON files do; `data` are the
    samples in words.
    """

    path: pathlib.Path
    records: dict
    data: str

    @property
    def report_path(self):
        """The HTML report."""
        line = "interpolate" in self.records
        return self.path / ("interpolation.html" if line else "report.html")

    @property
    def models(self):
        """The descriptions of the models, each once."""
        records = next(iter(self.records.values()))
        models = {m["name"]: m for r in records for m in r["models"]}
        return list(models.values())

    def table(self):
        """The numbers as a Markdown table."""
        return markdown_table(*self.cells())

    def words(self):
        """What the numbers mean, a list of lines."""
        lines = [x for m, r in self.records.items() for x in KNOWN[m].words(r)]
        return list(dict.fromkeys(lines))

    def cells(self):
        """The table as texts: its headings and its rows."""
        rows = {}
        for measure, records in self.records.items():
            for record in records:
                for key, cells in KNOWN[measure].rows(record):
                    rows.setdefault(key, {}).update(cells)
        columns = list(dict.fromkeys(c for row in rows.values() for c in row))
        return columns, [
            [row.get(column, MISSING) for column in columns]
            for row in rows.values()
        ]

    def write(self):
        """Writes the plots and the page."""
        columns, rows = self.cells()
        parts = []
        for name, records in self.records.items():
            measure = KNOWN[name]
            panels = tuple(measure.panels(records))
            plot = Plot(name, measure.title, panels, self.data, measure.caption)
            write_file(self.path / f"{name}.png", plot.png())
            parts.append({"plot": plot, "words": measure.words(records)})
        names = [model["name"] for model in self.models]
        record = next(iter(self.records.values()))[0]
        content = {
            "title": "Diagnostics of saved models",
            "headline": f"{' and '.join(names)} on {self.data}",
            "facts": [record["data"]["title"], f"{len(names)} models"],
            "columns": columns,
            "rows": rows,
            "parts": parts,
            "models": self.models,
            "provenance": provenance(record["environment"]),
        }
        page = render_page("analysis.html.j2", content, __package__)
        write_file(self.report_path, page)
