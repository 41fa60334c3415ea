"""Diagnostics of saved models on a workload: table, plots and page."""

import dataclasses
import json
import pathlib
import time
import typing

import numpy as np

from keras_lbreg.analysis.gradient_noise_scale import check_batches
from keras_lbreg.analysis.measures import MEASURES
from keras_lbreg.analysis.saved_models import read_models, take_samples
from keras_lbreg.checks import check_choice
from keras_lbreg.data.samples import message
from keras_lbreg.files import lock, read_json, write_file, write_json
from keras_lbreg.formatting import (
    MISSING,
    format_duration,
    format_significant,
    markdown_table,
)
from keras_lbreg.page import render_page
from keras_lbreg.plot_style import Plot
from keras_lbreg.training.environment import environment, provenance
from keras_lbreg.workloads import Workload, get_workload

SCHEMA = 3
MANIFEST = "manifest.json"


def analyze(
    paths,
    workload,
    what=("sharpness", "hessian", "noise"),
    settings=None,
    samples=10_000,
    split="train",
    seed=0,
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
        what: Names out of `"sharpness"`, `"hessian"`, `"noise"` and
            `"interpolation"`, see `keras_lbreg.sharpness`,
            `hessian_top_eigenvalue`, `gradient_noise_scale` and `interpolate`;
            the last takes two models, on training and validation data.
        settings: Optional arguments of these functions by name, such as
            `{"noise": {"pairs": 50}}`. `"epsilon"` of the sharpness may be
            several; the interpolation has `"points"`, `"start"` and `"end"`.
        samples: Use so many samples, chosen at random; `None` for all.
        split: `"train"` or `"val"`.
        seed: Seed of random directions, batches and the choice of samples.
        out: Folder. Defaults to `runs/analyze-` and the files' names.
        fresh: Whether to forget the results in the folder.
        on_progress: Optional, called as `on_progress(title, done, total,
            unit)`; `total` is `None` where it is not known.
        on_result: Optional, called with a line of text for every result.

    Returns:
        An `Analysis`: `table()`, `notes()`, `records`, `report_path`.

    Raises:
        ValueError: A file, the data or an argument is invalid.
    """
    paths = [paths] if isinstance(paths, (str, pathlib.Path)) else list(paths)
    what = [what] if isinstance(what, str) else list(dict.fromkeys(what))
    settings = resolve_settings(what, settings or {})
    if not paths or ("interpolation" in what and len(paths) != 2):
        expected = (
            "at least one model, and for the interpolation two models, the "
            "ends of its line"
        )
        raise ValueError(message("paths", expected, len(paths)))
    if not isinstance(workload, Workload):
        workload = get_workload(workload)
    chosen = take_samples(workload, split, samples, seed)
    models = read_models(paths, chosen, workload)
    jobs = []
    for name in what:
        given = settings[name]
        if name == "interpolation":
            others = take_samples(workload, "val", samples, seed)
            jobs.append(Job(name, models, [chosen, others], given))
            continue
        given["seed"] = seed
        if name == "noise":
            there = chosen.description["samples"]
            given["big_batch"] = check_batches(
                given["small_batch"], given["big_batch"], there
            )
        several = [given]
        if name == "sharpness":
            epsilons = np.atleast_1d(given["epsilon"]).tolist()
            several = [{**given, "epsilon": epsilon} for epsilon in epsilons]
        jobs += [
            Job(name, [model], [chosen], one)
            for one in several
            for model in models
        ]
    names = "-".join(model.name.replace("/", "-") for model in models)
    # A file name has an end.
    folder = pathlib.Path(out or f"runs/analyze-{names[:100]}")
    with lock(folder):
        known = read_records(folder, fresh)
        records = []
        for number, job in enumerate(jobs, 1):
            how = "computed before"
            if job.key not in known:
                known[job.key] = job.run(on_progress)
                content = {"schema": SCHEMA, "command": "analyze"}
                write_json(folder / MANIFEST, {**content, "records": known})
                how = f"in {format_duration(known[job.key]['seconds'])}"
            # Files may have been renamed since.
            records.append({**known[job.key], **job.describe()})
            if on_result is not None:
                on_result(f"[{number}/{len(jobs)}] {job.title}, {how}")
        analysis = Analysis(folder, records)
        analysis.write()
    return analysis


def resolve_settings(what, given):
    """All settings of the diagnostics by name; raises where one is unknown."""
    for name in (*(what or ("nothing",)), *given):
        check_choice("what", name, MEASURES)
    for name, own in given.items():
        for key in own:
            check_choice(f"settings[{name!r}]", key, MEASURES[name].settings)
    return {
        name: {**MEASURES[name].settings, **given.get(name, {})}
        for name in what
    }


class Job(typing.NamedTuple):
    """A result to be had: a diagnostic of one model, or of a line's two."""

    what: str
    models: list
    parts: list
    settings: dict

    @property
    def title(self):
        names = " to ".join(model.name for model in self.models)
        epsilon = self.settings.get("epsilon")
        box = "" if epsilon is None else f", ε = {epsilon:g}"
        return f"{MEASURES[self.what].title} of {names}{box}"

    def describe(self):
        """What a record says beside the result."""
        return {
            "what": self.what,
            "models": [model.description for model in self.models],
            "data": [part.description for part in self.parts],
            "settings": self.settings,
        }

    @property
    def key(self):
        """What tells one result from another; names of files do not."""
        files = [model.description["sha256"] for model in self.models]
        data = [part.description["checksum"] for part in self.parts]
        return json.dumps([self.what, files, data, self.settings])

    def run(self, on_progress):
        """Computes the record."""
        measure = MEASURES[self.what]
        total = self.settings.get("pairs", self.settings.get("points"))

        def advance(done):
            if on_progress is not None:
                on_progress(self.title, done, total, measure.unit)

        advance(0)
        start = time.perf_counter()
        try:
            result = measure.run(
                self.models, self.parts, self.settings, advance
            )
        except (ValueError, RuntimeError) as error:
            files = " and ".join(str(model.path) for model in self.models)
            kind = ValueError if isinstance(error, ValueError) else RuntimeError
            raise kind(f"{files}: {error}") from error
        return {
            **self.describe(),
            "result": result,
            "seconds": time.perf_counter() - start,
            "environment": environment(),
        }


def read_records(folder, fresh):
    """The records of a folder by the key of their `Job`, none if `fresh`."""
    file = folder / MANIFEST
    if not file.exists():
        return {}
    content = read_json(file)
    command, records = content.get("command"), content.get("records")
    if command != "analyze":
        raise ValueError(
            f"The folder {folder} belongs to `{command}`, and this is "
            "`analyze`. Write to another folder."
        )
    if fresh:
        return {}
    whole = content.get("schema") == SCHEMA and isinstance(records, dict)
    if not whole or not all(
        isinstance(record, dict) and {"result", "seconds"} <= record.keys()
        for record in records.values()
    ):
        raise ValueError(
            f"Cannot read {file}: it does not hold results as this version "
            "writes them. Nothing was changed. Move it away, write to another "
            "folder, or start afresh, which forgets it."
        )
    return records


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What `analyze` found, and the folder of its files."""

    path: pathlib.Path
    records: list

    @property
    def report_path(self):
        """The HTML report."""
        return self.path / "report.html"

    @property
    def models(self):
        """The descriptions of the models, each once."""
        found = {m["name"]: m for r in self.records for m in r["models"]}
        return list(found.values())

    @property
    def groups(self):
        """The records by the name of the diagnostic."""
        groups = {}
        for record in self.records:
            groups.setdefault(record["what"], []).append(record)
        return groups

    def cells(self):
        """The table as texts: its headings and its rows, one a model."""
        rows = {}
        for model in self.models:
            fit = {k: format_significant(v, 3) for k, v in model["fit"].items()}
            rows[model["name"]] = {"model": model["name"], **fit}
        for record in self.records:
            name = record["models"][0]["name"]
            rows[name] |= MEASURES[record["what"]].cells(record)
        columns = list(dict.fromkeys(c for row in rows.values() for c in row))
        return columns, [
            [row.get(column, MISSING) for column in columns]
            for row in rows.values()
        ]

    def table(self):
        """The numbers as a Markdown table."""
        return markdown_table(*self.cells())

    def notes(self):
        """What has to be known to read the numbers, a list of lines."""
        lines = []
        for name, records in self.groups.items():
            measure = MEASURES[name]
            lines += [*measure.notes(records), measure.caveat]
        return list(dict.fromkeys(lines))

    def write(self):
        """Writes the plots and the page."""
        data = self.records[0]["data"][0]
        samples = f"{data['samples']:,} {data['part']} samples"
        names = ", ".join(model["name"] for model in self.models)
        headline = f"{names} on {samples} of {data['title']}"
        plots = []
        for name, records in self.groups.items():
            measure = MEASURES[name]
            plot = Plot(
                name=name,
                title=measure.title,
                caption=measure.caption,
                panels=tuple(measure.panels(records)),
                setting=headline,
            )
            write_file(self.path / f"{name}.png", plot.png())
            plots.append(plot)
        columns, rows = self.cells()
        content = {
            "title": "Diagnostics of saved models",
            "headline": headline,
            "facts": [data["title"], f"{len(self.models)} models"],
            "columns": columns,
            "rows": rows,
            "notes": self.notes(),
            "figures": plots,
            "models": self.models,
            "provenance": provenance(self.records[0]["environment"]),
        }
        page = render_page("analysis.html.j2", content, __package__)
        write_file(self.report_path, page)
