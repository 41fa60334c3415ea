"""Diagnostics of saved models on a workload: table, words, plots, page."""

import dataclasses
import pathlib

import numpy as np

from keras_lbreg.analysis.gradient_noise_scale import advice, check_batches
from keras_lbreg.analysis.saved_models import (
    RecordBook,
    line_job,
    model_job,
    read_models,
    take_samples,
)
from keras_lbreg.checks import check_positive_int, check_positive_number
from keras_lbreg.files import lock, write_file
from keras_lbreg.formatting import (
    MISSING,
    format_count,
    format_duration,
    format_significant,
)
from keras_lbreg.page import render_page
from keras_lbreg.plot_style import INK, PALETTE, Panel, Plot, log_axis
from keras_lbreg.training.environment import provenance
from keras_lbreg.workloads import Workload, get_workload

MEASURES = ("sharpness", "hessian", "noise")

# Between the longest bar and the shortest, or the latter cannot be seen.
WIDEST = 30

SCALES = (
    "Compare models of one architecture on the same samples. Even so, a "
    "network can be made sharper or flatter without changing what it computes "
    "(Dinh et al. 2017), most easily in front of batch normalization, where "
    "the scale of the weights means nothing."
)


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
        seed: Seed of the random directions and of the batches.
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
    for name, value in (("iterations", iterations), ("pairs", pairs)):
        check_positive_int(name, value)
    models, chosen, workload = read(paths, workload, split, samples)
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
    models, chosen, workload = read(paths, workload, "train", samples)
    others = take_samples(workload, "val", samples)
    # Rounded: 0 and 1 are among them, and the file is read by people.
    positions = np.round(np.linspace(start, end, points), 9).tolist()
    job = line_job(models, chosen, others, positions, statistics)
    return run_jobs([job], models, out, fresh, on_progress, on_result)


def read(paths, workload, split, samples):
    """The models, the samples and the workload; bad input ends here."""
    paths = [paths] if isinstance(paths, (str, pathlib.Path)) else list(paths)
    if not isinstance(workload, Workload):
        workload = get_workload(workload)
    chosen = take_samples(workload, split, samples)
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
        return self.path / "report.html"

    @property
    def files(self):
        """All files that were written."""
        names = [
            f"{m}.{kind}" for m in self.records for kind in ("json", "png")
        ]
        return [self.path / name for name in (*names, "report.html")]

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


def name(record):
    return record["models"][0]["name"]


def percent(fraction):
    return MISSING if fraction is None else f"{100 * fraction:.1f} %"


def by_epsilon(records):
    """Pairs of ε and its records, in order."""
    groups = {}
    for record in records:
        groups.setdefault(record["settings"]["epsilon"], []).append(record)
    return list(groups.items())


# The cells of the table.


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
    low, middle, high = (
        "∞" if result[key] is None else format_count(result[key])
        for key in ("low", "noise_scale", "high")
    )
    return fit_cells(result) | {
        "B_simple, samples": middle,
        "90 % interval": f"{low} to {high}",
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


# What the numbers mean.


def sharpness_words(records):
    """Lines on the sharpness of one model or several, by ε."""
    lines = []
    for epsilon, group in by_epsilon(records):
        for record in group:
            r = record["result"]
            lines.append(
                f"{name(record)}: within ε = {epsilon:g} the loss rises from "
                f"{r['loss']:.4g} to at least {r['largest_loss']:.4g}: "
                f"sharpness {r['sharpness']:.3g}."
            )
        lines += compared(group, "sharpness")
    space = records[0]["settings"]["subspace"]
    if space:
        lines.append(f"Sought in {space} random directions, not in all.")
    return [*lines, *unequal_fit(records), SCALES]


def hessian_words(records):
    """Lines on the largest eigenvalue and the learning rates it allows."""
    lines = []
    for record in records:
        value = record["result"]["eigenvalue"]
        line = f"{name(record)}: largest eigenvalue {value:.4g}."
        if value > 0:
            line += (
                " Plain gradient descent is stable here up to a learning rate "
                f"of 2/λ = {2 / value:.3g}, with momentum 0.9 up to "
                f"{3.8 / value:.3g}."
            )
        else:
            line += " The loss curves downwards everywhere: no minimum."
        lines.append(line)
    lines += compared(records, "eigenvalue")
    return [*lines, *unequal_fit(records), SCALES]


def noise_words(records):
    """Lines on the batch size that each model could still use."""
    lines = []
    for record in records:
        r = record["result"]
        if r["noise_scale"] is None:
            found = advice(float("inf"), r["big_batch"])
        else:
            ends = noise_cells(record)["90 % interval"]
            found = (
                f"B_simple is about {r['noise_scale']:,.0f} samples ({ends})."
            )
        lines.append(f"{name(record)}: {found}")
    lines.append(
        "Updates needed at batch B: 1 + B_simple / B times the fewest; samples "
        "needed: 1 + B / B_simple times the fewest. Well below B_simple, twice "
        "the batch nearly halves the updates; far above, it buys little."
    )
    drawn, there = r["pairs"] * r["big_batch"], record["data"]["samples"]
    if drawn > there:
        lines.append(
            f"The big batches share samples ({drawn:,} drawn of {there:,}): "
            "the interval is narrower than the truth."
        )
    lines.append(
        "It holds for these weights: earlier in training it is smaller, often "
        "by far. Measured for plain SGD."
    )
    return lines


def interpolation_words(records):
    """Lines on the ends, the barrier between them, and what lies beyond."""
    (record,) = records
    r = record["result"]
    names = [model["name"] for model in record["models"]]
    a = np.array(r["positions"])
    loss = np.array(r["loss"]["train"], "float64")
    lines = []
    for end, label in enumerate(names):
        at = int(np.argmin(np.abs(a - end)))
        if abs(a[at] - end) < 1e-6:
            line = f"{label} (a = {end}): training loss {loss[at]:.4g}"
            if "accuracy" in r:
                train, val = (r["accuracy"][part][at] for part in r["accuracy"])
                line += (
                    f", accuracy {percent(train)} in training and "
                    f"{percent(val)} in validation"
                )
            lines.append(f"{line}.")
    between = (a > 0) & (a < 1)
    ends = loss[np.isin(np.round(a, 6), (0, 1))]
    if between.any() and len(ends) == 2:
        top = np.nanmax(loss[between])
        lines.append(
            f"Between them the training loss rises to {top:.4g}: a barrier "
            "lies between two valleys."
            if top > 1.1 * max(ends) + 1e-3
            else "Between them it does not rise above the higher end: no "
            "barrier."
        )
    return [*lines, *beyond(a, loss, names), SCALES]


def beyond(a, loss, names):
    """A line on the two sides of the valley, where both were measured."""
    if a[0] > -0.5 or a[-1] < 1.5:
        return []
    at = np.interp((-0.5, 0, 1, 1.5), a, loss)
    rises = at[0] - at[1], at[3] - at[2]
    if not np.all(np.isfinite(rises)):
        return []
    flatter = f"flatter on the side of {names[int(rises[0] > rises[1])]}"
    if np.isclose(*rises, rtol=0.1):
        flatter = "about as flat on both sides"
    return [
        f"Half the distance beyond {names[0]} it changes by {rises[0]:+.3g}, "
        f"beyond {names[1]} by {rises[1]:+.3g}: on this line the valley is "
        f"{flatter}."
    ]


def compared(records, key):
    """How the extremes of several models compare."""
    values = [record["result"][key] for record in records]
    if len(values) < 2 or min(values) <= 0:
        return []
    low, high = records[np.argmin(values)], records[np.argmax(values)]
    ratio = max(values) / min(values)
    if ratio < 1.05:
        return ["They are about equally sharp."]
    times = f"{ratio:.2g}" if ratio < 100 else f"{ratio:,.0f}"
    return [f"{name(high)} is {times} times as sharp as {name(low)}."]


def unequal_fit(records):
    """A warning where one model has fitted the samples far less."""
    low = min(records, key=lambda record: record["result"]["loss"])
    high = max(records, key=lambda record: record["result"]["loss"])
    losses = [record["result"]["loss"] for record in (low, high)]
    if losses[1] < max(2 * losses[0], 0.01):
        return []
    return [
        f"But the loss of {name(high)} is {losses[1]:.3g}, that of {name(low)} "
        f"{losses[0]:.3g}: the less a model has fitted the samples, the more "
        "slope and curvature the loss has left. Compare at equal loss to "
        "learn about the shape of the minima."
    ]


# The plots.


def sharpness_panels(records):
    """A panel for each ε with a bar, or a point, for each model."""
    return [
        bars(
            f"ε = {epsilon:g}", "sharpness", group, "sharpness", "{:.3g}".format
        )
        for epsilon, group in by_epsilon(records)
    ]


def hessian_panels(records):
    """A bar for each model, with the learning rate that it allows."""

    def label(value):
        text = f"{value:.3g}"
        return f"{text}  (2/λ = {2 / value:.2g})" if value > 0 else text

    xlabel = "largest eigenvalue λ of the Hessian"
    return [bars("", xlabel, records, "eigenvalue", label)]


def bars(title, xlabel, records, key, label):
    values = [record["result"][key] for record in records]
    labels = [label(value) for value in values]
    colors = [PALETTE[i % len(PALETTE)] for i in range(len(values))]
    logarithmic = min(values) > 0 and max(values) > WIDEST * min(values)

    def draw(axis):
        axis.grid(False)
        if logarithmic:
            # A bar on a logarithmic axis has no true length.
            draw_points(axis, values, labels, colors)
        else:
            drawn = axis.barh(range(len(values)), values, 0.6, color=colors)
            axis.bar_label(drawn, labels, padding=4)
            axis.margins(x=0.6 if max(map(len, labels)) > 8 else 0.25)
            axis.set_xlim(left=min(0, *values, 0))
        axis.set_yticks(range(len(values)), [name(r) for r in records])
        axis.set_ylim(len(values) - 0.5, -0.5)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        axis.set_xlabel(xlabel + (" (logarithmic)" if logarithmic else ""))

    return Panel(title, draw, 1.3 + 0.5 * len(values))


def draw_points(axis, values, labels, colors):
    for row, (value, text, color) in enumerate(
        zip(values, labels, colors, strict=True)
    ):
        axis.plot(value, row, "o", color=color, markersize=11)
        axis.annotate(
            text,
            (value, row),
            (10, 0),
            textcoords="offset points",
            va="center",
        )
    # Room for the labels.
    ratio = max(values) / min(values)
    room = 1.0 if max(map(len, labels)) > 8 else 0.35
    axis.set_xlim(min(values) / ratio**0.1, max(values) * ratio**room)
    log_axis(axis)
    axis.grid(True, axis="x")


def noise_panels(records):
    """B_simple with its 90 % interval, on a logarithmic axis.

    Where no signal was found, an arrow begins at the big batch: B_simple is
    somewhere to the right.
    """
    keys = ("low", "noise_scale", "high", "big_batch")
    ends = [[record["result"][key] for key in keys] for record in records]
    # The arrows of what has no end reach as far as this.
    right = 3 * max(v for row in ends for v in row if v is not None)

    def draw(axis):
        for row, values in enumerate(ends):
            draw_interval(axis, row, *values, right)
        axis.set_yticks(range(len(records)), [name(r) for r in records])
        axis.tick_params(axis="y", length=0)
        axis.set_ylim(len(records) - 0.4, -0.6)
        axis.grid(False)
        axis.grid(True, axis="x")
        log_axis(axis)
        axis.set_xlabel("noise scale B_simple, samples (90 % interval)")

    return [Panel("", draw, 1.4 + 0.55 * len(records))]


def draw_interval(axis, row, low, middle, high, big_batch, right):
    color = PALETTE[row % len(PALETTE)]
    # A logarithmic axis has no 0.
    left = max(low or big_batch, 1)
    axis.plot([left, high or right], [row, row], color=color, linewidth=3)
    if high is None:
        axis.plot(right, row, ">", color=color, markersize=9)
    text = f"no signal found, above {left:,.0f}"
    if middle is not None:
        text = f"{middle:,.0f}"
        axis.plot(max(middle, 1), row, "o", color=color, markersize=10)
    axis.annotate(
        text,
        (max(middle or left, 1), row),
        (0, 9),
        textcoords="offset points",
        ha="center" if middle else "left",
        color=INK,
    )


def interpolation_panels(records):
    """A panel of the loss and one of the accuracy, as Keskar's Figure 3."""
    (record,) = records
    result = record["result"]
    a = np.array(result["positions"])
    names = [model["name"] for model in record["models"]]

    def panel(key, label, scale, color):
        def draw(axis):
            for part, words, dashes in (
                ("train", "training", "-"),
                ("val", "validation", "--"),
            ):
                values = scale * np.array(result[key][part], "float64")
                axis.plot(a, values, dashes, color=color, label=words)
            if key == "loss" and np.nanmin(values) > 0:
                # A loss that blows up beyond the ends would hide the valleys.
                axis.set_yscale("log")
                axis.yaxis.set_major_formatter(lambda y, _: f"{y:.10g}")
            axis.set(xlabel="a, from θ₀ (0) to θ₁ (1)", ylabel=label)
            axis.legend(loc="best")
            for position, end in enumerate(names):
                mark_end(axis, a, position, end)

        return Panel("", draw, 3.8)

    panels = [panel("loss", "loss", 1, PALETTE[3])]
    if "accuracy" in result:
        panels.append(panel("accuracy", "accuracy, %", 100, PALETTE[0]))
    return panels


def mark_end(axis, a, position, label):
    if not a[0] <= position <= a[-1]:
        return
    axis.axvline(position, color=INK, linewidth=0.8, alpha=0.5)
    axis.annotate(
        label,
        (position, 1),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if position == 0 else "left",
        va="bottom",
        fontsize=9,
        color=INK,
    )


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
WORDS = {
    "sharpness": sharpness_words,
    "hessian": hessian_words,
    "noise": noise_words,
    "interpolate": interpolation_words,
}
PANELS = {
    "sharpness": sharpness_panels,
    "hessian": hessian_panels,
    "noise": noise_panels,
    "interpolate": interpolation_panels,
}
