"""Diagnostics of saved models on a workload: table, plots and page."""

import dataclasses
import pathlib

import numpy as np

from keras_lbreg.analysis.gradient_noise_scale import check_batches
from keras_lbreg.analysis.plots import PANELS
from keras_lbreg.analysis.saved_models import (
    RecordBook,
    line_job,
    model_job,
    read_models,
    take_samples,
)
from keras_lbreg.analysis.words import WORDS, interval, name, percent
from keras_lbreg.checks import check_positive_int, check_positive_number
from keras_lbreg.files import lock, write_file
from keras_lbreg.formatting import (
    MISSING,
    format_count,
    format_duration,
    format_significant,
)
from keras_lbreg.page import render_page
from keras_lbreg.plot_style import Plot
from keras_lbreg.training.environment import provenance
from keras_lbreg.workloads import Workload, get_workload

MEASURES = ("sharpness", "hessian", "noise")


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
    """Measure saved models on the data of a workload, side by side.

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
            Defaults to `10000`.
        split: `"train"` (the default) or `"val"`.
        seed: Seed of the random directions, of the batches and of the choice of
            the samples. Defaults to `0`.
        epsilons: Sizes of the box of the sharpness. Defaults to both of the
            paper's.
        subspace: Dimension of the sharpness's subspace (the paper: 100), or
            `None` (the default) for the whole space.
        iterations: Iterations of the sharpness's L-BFGS-B. Defaults to `10`.
        tolerance: Relative accuracy of the eigenvalue. Defaults to `1e-3`.
        max_iterations: Most restarts of the eigenvalue's iteration. Defaults
            to `100`.
        small_batch: The noise scale's small batch. Defaults to `64`.
        big_batch: The noise scale's big batch, or the largest multiple of the
            small one that the data allows. Defaults to `1024`.
        pairs: Big batches that the noise scale draws. Defaults to `20`.
        statistics: Of batch normalization in the noise scale: `"batch"` (the
            default), `"estimate"` or `"moving"`.
        out: Folder. Defaults to `runs/analyze-` and the files' names.
        fresh: Whether to forget the results in the folder.
        on_progress: Optional, called as `on_progress(title, done, total,
            unit)`; `total` is `None` where it is not known.
        on_result: Optional, called with a line of text for every result.

    Returns:
        An `Analysis`.

    Raises:
        ValueError: A file, the data or an argument is invalid.

    Example:

    >>> from keras_lbreg.analysis.report import analyze
    >>> found = analyze(["small.keras", "large.keras"], "digits")
    >>> print(found.table())
    """
    what = [what] if isinstance(what, str) else list(dict.fromkeys(what))
    unknown = [name for name in what if name not in MEASURES]
    if unknown or not what:
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
    models, chosen, workload = read(paths, workload, split, samples, seed)
    settings = {}
    if "sharpness" in what:
        settings["sharpness"] = [
            {
                "epsilon": epsilon,
                "subspace": subspace,
                "iterations": iterations,
                "seed": seed,
            }
            for epsilon in dict.fromkeys(epsilons)
        ]
    if "hessian" in what:
        settings["hessian"] = [
            {
                "tolerance": tolerance,
                "max_iterations": max_iterations,
                "seed": seed,
            }
        ]
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
        for measure, several in settings.items()
        for one in several
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
    """Measure the loss along the line through two saved models.

    Args:
        path_a: `.keras` file of the model at a = 0.
        path_b: Of the one at a = 1, of the same architecture.
        workload: A `Workload`, or what `get_workload` takes.
        points: Number of values of a. Defaults to `25`.
        start: The first of them. Defaults to `-1.0`.
        end: The last. Defaults to `2.0`.
        statistics: Of batch normalization: `"estimate"` (the default) measures
            them anew at each point, `"interpolate"` moves them along.
        samples: At most so many training and validation samples, chosen at
            random; `None` for all. Defaults to `10000`.
        seed: Seed of their choice. Defaults to `0`.
        out: Folder. Defaults to `runs/analyze-` and the files' names.
        fresh: Whether to forget the results in the folder.
        on_progress: Optional, as for `analyze`.
        on_result: Optional, as for `analyze`.

    Returns:
        An `Analysis`.

    Raises:
        ValueError: A file, the data or an argument is invalid.

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


def run_jobs(jobs, models, out, fresh, on_progress, on_result):
    """Compute what is not there yet, and write all of it."""
    names = [model.name.replace("/", "-") for model in models]
    # A file name has an end.
    default = pathlib.Path("runs") / f"analyze-{'-'.join(names)[:100]}"
    folder = default if out is None else pathlib.Path(out)
    with lock(folder):
        books = {
            measure: RecordBook(folder / f"{measure}.json", measure, fresh)
            for measure in dict.fromkeys(job.measure for job in jobs)
        }
        records = {measure: [] for measure in books}
        for number, job in enumerate(jobs, 1):

            def advance(done, job=job):
                if on_progress is not None:
                    on_progress(job.title, done, job.total, UNITS[job.measure])

            advance(0)
            record, found = books[job.measure].result_of(job, advance)
            records[job.measure].append(record)
            if on_result is not None:
                how = (
                    "computed before"
                    if found
                    else f"in {format_duration(record['seconds'])}"
                )
                on_result(
                    f"[{number}/{len(jobs)}] {TITLES[job.measure]} of "
                    f"{job.title}, {how}"
                )
        analysis = Analysis(folder, records, jobs[0].samples.title)
        analysis.write()
    return analysis


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What `analyze` or `analyze_interpolation` found.

    Args:
        path: The folder.
        records: Lists of records by diagnostic, as the JSON files hold them.
        data: The samples in words.
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
    def files(self):
        """All files that were written."""
        names = [
            f"{m}.{kind}" for m in self.records for kind in ("json", "png")
        ]
        return [*(self.path / name for name in names), self.report_path]

    @property
    def models(self):
        """The descriptions of the models."""
        return models_of(next(iter(self.records.values())))

    def table(self):
        """The numbers as a Markdown table."""
        columns, rows = self.cells()
        rule = [":--", *["--:"] * (len(columns) - 1)]
        lines = (columns, rule, *rows)
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def words(self):
        """What the numbers mean, a list of lines."""
        lines = [
            x for m, records in self.records.items() for x in WORDS[m](records)
        ]
        return list(dict.fromkeys(lines))

    def cells(self):
        """The table as texts: its headings and its rows."""
        if "interpolate" in self.records:
            return interpolation_cells(*self.records["interpolate"])
        rows = {
            model["name"]: {"model": model["name"]} for model in self.models
        }
        for measure, records in self.records.items():
            for record in records:
                rows[name(record)].update(CELLS[measure](record))
        columns = list(dict.fromkeys(c for row in rows.values() for c in row))
        return columns, [
            [row.get(column, MISSING) for column in columns]
            for row in rows.values()
        ]

    def write(self):
        """Write the plots and the page."""
        columns, rows = self.cells()
        parts = []
        for measure, records in self.records.items():
            panels = tuple(PANELS[measure](records))
            plot = Plot(
                measure, TITLES[measure], CAPTIONS[measure], panels, self.data
            )
            write_file(self.path / f"{measure}.png", plot.png())
            parts.append(
                {
                    "title": plot.title,
                    "caption": plot.caption,
                    "svgs": plot.svgs(),
                    "words": WORDS[measure](records),
                }
            )
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
        page = render_page("analysis.html.j2", content, "keras_lbreg.analysis")
        write_file(self.report_path, page)


def models_of(records):
    """The descriptions of all models, each once."""
    models = {m["name"]: m for record in records for m in record["models"]}
    return list(models.values())


def fit_cells(result):
    cells = {"loss": format_significant(result["loss"], 3)}
    if "accuracy" in result:
        cells["accuracy"] = percent(result["accuracy"])
    return cells


def sharpness_cells(record):
    column = f"sharpness, ε = {record['settings']['epsilon']:g}"
    result = record["result"]
    return fit_cells(result) | {
        column: format_significant(result["sharpness"], 3)
    }


def hessian_cells(record):
    value = record["result"]["eigenvalue"]
    return fit_cells(record["result"]) | {
        "largest eigenvalue λ": format_significant(value, 3),
        "2/λ": format_significant(2 / value, 3) if value > 0 else MISSING,
    }


def noise_cells(record):
    result = record["result"]
    found = result["noise_scale"]
    return fit_cells(result) | {
        "B_simple, samples": "∞" if found is None else format_count(found),
        "90 % interval": interval(result),
    }


def interpolation_cells(record):
    result = record["result"]
    columns = ["a", "training loss", "validation loss"]
    curves = [
        [format_significant(v, 3) for v in result["loss"][part]]
        for part in ("train", "val")
    ]
    if "accuracy" in result:
        columns += ["training accuracy", "validation accuracy"]
        curves += [
            list(map(percent, result["accuracy"][part]))
            for part in ("train", "val")
        ]
    positions = [f"{a:g}" for a in result["positions"]]
    return columns, list(map(list, zip(positions, *curves, strict=True)))


TITLES = {
    "sharpness": "Sharpness",
    "hessian": "Largest eigenvalue of the Hessian",
    "noise": "Gradient noise scale",
    "interpolate": "Interpolation",
}
UNITS = {
    "sharpness": "evaluations",
    "hessian": "Hessian-vector products",
    "noise": "big batches",
    "interpolate": "points",
}
CAPTIONS = {
    "sharpness": "100 (max f - f) / (1 + f), the maximum over a box of "
    "|z_i| <= ε (|θ_i| + 1) around the weights (Keskar et al. 2017): how much "
    "the loss rises close by.",
    "hessian": "Curvature along the sharpest direction. Gradient descent is "
    "stable there up to a learning rate of 2/λ.",
    "noise": "The batch size at which noise and signal of the gradient are "
    "equal (McCandlish et al. 2018), with its 90 % interval.",
    "interpolate": "On the line θ = (1 - a) θ₀ + a θ₁ through the weights of "
    "two models (Keskar et al. 2017, Figure 3).",
}
CELLS = {
    "sharpness": sharpness_cells,
    "hessian": hessian_cells,
    "noise": noise_cells,
}
