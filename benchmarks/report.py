"""The tables and plots of docs/performance.md, made of the results."""

import functools
import itertools
import json
import pathlib

from benchmarks.ghost_batch_norm import IMAGE, SHAPES, VECTOR
from benchmarks.growth import added
from benchmarks.startup import COMMANDS
from keras_lbreg.files import write_file
from keras_lbreg.formatting import (
    MISSING,
    format_count,
    format_significant,
    markdown_table,
)
from keras_lbreg.plot_style import to_png
from keras_lbreg.training.environment import provenance
from recipes.figures import figure_of, logarithmic
from recipes.tables import render

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "images" / "performance_growth.png"
RESULTS = ROOT / "benchmarks" / "results"
# A cell of ghost batch normalization is bold above it.
LIMIT = 1.1


def read(folder=RESULTS):
    """The last record of each case and platform; quick ones are none."""
    lines = [
        line
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]
    records = [r for r in map(json.loads, lines) if not r["quick"]]
    return list({(r["group"], r["case"], on(r)): r for r in records}.values())


def on(record):
    """`"TensorFlow"`, or `"JAX, NVIDIA H200"` where there is an accelerator."""
    found = record["environment"]
    name = {"tensorflow": "TensorFlow", "jax": "JAX"}[found["backend"]]
    return f"{name}, {found['device']}" if record["is_accelerated"] else name


def of(records, group, variant=None, **settings):
    """The records of a group with these settings, and this variant."""
    return [
        r
        for r in records
        if r["group"] == group
        and (variant is None or variant in r["variants"])
        and all(r["settings"].get(k) == v for k, v in settings.items())
    ]


def measured(group, is_wanted=lambda record: True):
    """Makes a table of some of a group's records, or says how to get them."""

    def decorate(function):
        def make(records):
            found = list(filter(is_wanted, of(records, group)))
            if not found:
                command = f"`python -m benchmarks run {group}`"
                return f"Not measured yet: {command}.\n"
            return function(found) + "\n" + made_with(found)

        return make

    return decorate


def made_with(records):
    texts = sorted({provenance(r["environment"]) for r in records})
    dates = sorted({r["date"] for r in records})
    load = max(r["load"] for r in records)
    return (
        f"{'; '.join(texts)}; {', '.join(dates)}; load average before a case "
        f"at most {load:.1f}.\n"
    )


def is_plain(settings):
    """Whether a cell is channels last, static, float32."""
    values = settings["axis"], settings["static"], settings["dtype"]
    return values == (-1, True, "float32")


@measured("ghost_batch_norm")
def ghost_cells(records):
    """Ratios to Keras's layer, a column a platform and mode."""
    rows, columns = {}, {}
    shapes = [list(shape) for shape, _ in SHAPES]
    for record in records:
        settings = record["settings"]
        is_first = settings["axis"] == 1
        shape = settings["shape"]
        last = [shape[0], *shape[2:], shape[1]] if is_first else shape
        if last not in shapes and not is_plain(settings):
            continue
        row = [f"{'x'.join(map(str, shape))} / {settings['ghosts']}"]
        row += [settings["dtype"]] * (settings["dtype"] != "float32")
        row += ["channels first"] * is_first
        row += ["dynamic batch"] * (not settings["static"])
        column = f"{on(record)}, {settings['mode']}"
        columns[column] = True
        found = record["variants"].get("ghost")
        cell = f"impossible: {'; '.join(record['failed'].values())}"
        if found:
            cell = f"{found['ratio']:.2f}"
            cell = f"**{cell}**" if found["ratio"] > LIMIT else cell
        rows.setdefault(", ".join(row), {})[column] = cell
    return markdown_table(
        ["shape / ghosts of", *columns],
        [
            [name, *(cells.get(column, MISSING) for column in columns)]
            for name, cells in rows.items()
        ],
    )


def variants_table(group, is_wanted=lambda record: True):
    """A row a variant; columns where there is something to say."""

    @measured(group, is_wanted)
    def make(records):
        rows = []
        for record in records:
            title = f"{on(record)}, {record['case']}"
            for name, why in record["failed"].items():
                rows.append({"": title, "variant": name, "ms": why})
            for name in record["variants"]:
                rows.append({"": title, "variant": name, **cells(record, name)})
        columns = list(dict.fromkeys(key for row in rows for key in row))
        return markdown_table(
            columns, [[row.get(c, MISSING) for c in columns] for row in rows]
        )

    return make


def cells(record, name):
    """What is known of a variant, by column."""
    found, settings = record["variants"][name], record["settings"]
    low, high = found["ratio_quartiles"]
    row = {
        "ms": format_significant(found["ms"], 3),
        "ratio (quartiles)": f"{found['ratio']:.2f} ({low:.2f} to {high:.2f})",
    }
    if not settings:
        row["ms more"] = format_significant(found["more_ms"], 3)
    if "batch_size" in settings:
        speed = 1e3 * settings["batch_size"] / found["ms"]
        row["samples/s"] = format_count(speed)
    if "weights" in settings:
        each = 1e6 * found["more_ms"] / settings["weights"]
        row["more, ns a weight"] = f"{each:.1f}"
    if "gflop" in found["counted"]:
        row["counted ratio"] = f"{over_first(record, name, 'gflop'):.2f}"
    if "peak_mb" in found:
        share = over_first(record, name, "peak_mb")
        row["peak MB (ratio)"] = f"{found['peak_mb']:,.0f} ({share:.2f})"
    for key, value in found["counted"].items():
        row[key] = format_significant(value, 3)
    return row


def over_first(record, name, key):
    """A variant's number, over that of the case's first variant."""
    variants = record["variants"]
    own, first = (
        variant.get(key, variant["counted"].get(key))
        for variant in (variants[name], next(iter(variants.values())))
    )
    return own / first


def goal(title, limit, group, variant, value=None, **settings):
    """A target: a number of each record with these settings, and its limit."""
    value = value or (lambda record: record["variants"][variant]["ratio"])

    def row(records):
        found = of(records, group, variant, **settings)
        if not found:
            return title, f"{limit:g}", MISSING, MISSING, MISSING
        worst = max(found, key=value)
        missed = sum(value(record) > limit for record in found)
        return (
            title,
            f"{limit:g}",
            f"{value(worst):.2f}",
            f"{on(worst)}, {worst['case']}",
            f"missed in {missed} of {len(found)}" if missed else "met",
        )

    return row


CELL = {"shape": [1024, 16, 16, 64], "ghosts": 128, "dtype": "float32"}
STEP = {"network": "ResNet18", "batch_size": 1024}
GOALS = [
    *(
        goal(
            f"ghosts of 128, 1024x16x16x64, float32, {mode}",
            0.6 if mode == "graph" else 1.0,
            "ghost_batch_norm",
            "ghost",
            mode=mode,
            **CELL,
        )
        for mode in ("graph", "xla", "jit")
    ),
    goal("ghosts, every cell", LIMIT, "ghost_batch_norm", "ghost"),
    goal(
        "DReg at C1's last convolution, over the counted ratio",
        1.05,
        "dreg",
        "both conv_2",
        lambda record: (
            record["variants"]["both conv_2"]["ratio"]
            / over_first(record, "both conv_2", "gflop")
        ),
        batch_size=512,
    ),
    goal("noise, ResNet18", 1.05, "end_to_end", "gradient_noise", **STEP),
    goal("mix, ResNet18", 1.01, "end_to_end", "gradient_mix", **STEP),
    goal("all but DReg, ResNet18", 1.1, "end_to_end", "all but dreg", **STEP),
    goal(
        "its peak memory",
        1.05,
        "end_to_end",
        "all but dreg",
        lambda record: over_first(record, "all but dreg", "peak_mb"),
        **STEP,
    ),
    goal(
        "`import keras_lbreg` over `import keras`, seconds",
        0.3,
        "startup",
        "keras_lbreg",
        lambda record: record["variants"]["keras_lbreg"]["more_ms"] / 1e3,
    ),
]


def targets(records):
    """Each target, the worst that was measured, and whether it is met."""
    head = ("target, a ratio to the plain one", "at most", "worst", "where", "")
    return markdown_table(head, [row(records) for row in GOALS])


def on_paper(records):
    """What is added on 1,024 devices; from formulas, of no record."""
    found = added("ResNet18", 1024, 32, 32, "last_conv")
    rows = [
        (
            name,
            f"{sent / 2**20:.2f}",
            format_count(messages),
            f"{work / 1e6:,.1f}",
            f"{100 * work / found['plain step'][2]:.3g} %",
        )
        for name, (sent, messages, work) in found.items()
    ]
    head = [
        "added",
        "MiB sent",
        "messages",
        "million operations",
        "of the step",
    ]
    return markdown_table(head, rows)


def growth(records):
    """The link of the plot, if there is something to draw."""
    if not panels(records):
        return "Not measured yet: `python -m benchmarks run`.\n"
    text = "Cost of the techniques by batch, weights and devices"
    return f"![{text}](images/{PLOT.name})\n"


def panels(records):
    """The panels of the plot, as pairs of a title and a drawing function."""
    batch, weights, replicas = {}, {}, {}

    def add(lines, name, record, variant, x):
        y = record["variants"][variant]["ratio"]
        if lines is weights:
            y = 1e6 * record["variants"][variant]["more_ms"] / x
        lines.setdefault(f"{name}, {on(record)}", []).append((x, y))

    for r in of(records, "ghost_batch_norm", "ghost", ghosts=128):
        first, *sample = r["settings"]["shape"]
        if is_plain(r["settings"]) and tuple(sample) in (IMAGE, VECTOR):
            name = f"ghosts, rank {1 + len(sample)}, {r['settings']['mode']}"
            add(batch, name, r, "ghost", first)
    for r in of(records, "dreg", "both conv_2"):
        add(batch, "DReg, C1", r, "both conv_2", r["settings"]["batch_size"])
    for r in of(records, "optimizers", "GradientNoise"):
        name, x = r["settings"]["optimizer"], r["settings"]["weights"]
        add(weights, name, r, "GradientNoise", x)
    for r in of(records, "optimizers", "gradient_mix"):
        for name in list(r["variants"])[1:]:
            add(replicas, name, r, name, r["settings"]["replicas"])

    def panel(title, lines, x, y):
        def draw(axis):
            for name, points in lines.items():
                axis.plot(*zip(*sorted(points), strict=True), "o-", label=name)
            axis.set(xlabel=x, ylabel=y)
            points = itertools.chain.from_iterable(lines.values())
            logarithmic(axis, sorted({place for place, _ in points}))

        return title, draw

    made = [
        ("Batch", batch, "samples", "time over the plain one's"),
        ("Noise by weights", weights, "weights", "ns more a weight"),
        ("Devices, F1", replicas, "replicas", "time over the plain one's"),
    ]
    return [panel(*arguments) for arguments in made if arguments[1]]


def has(name):
    """Whether a record has such a setting."""
    return lambda record: name in record["settings"]


def is_command(record):
    return record["case"] in COMMANDS


TABLES = {
    "targets": targets,
    "ghost_cells": ghost_cells,
    "ghost_peers": variants_table(
        "ghost_batch_norm",
        lambda record: (
            is_plain(record["settings"])
            and record["settings"]["shape"] in [list(s) for s, _ in SHAPES]
        ),
    ),
    "dreg": variants_table("dreg"),
    "updates": variants_table("optimizers", has("weights")),
    "replicas": variants_table("optimizers", has("network")),
    "end_to_end": variants_table("end_to_end"),
    "startup": variants_table("startup", lambda r: not is_command(r)),
    "commands": variants_table("startup", is_command),
    "on_paper": on_paper,
    "growth": growth,
}


def render_page(records):
    tables = {n: functools.partial(make, records) for n, make in TABLES.items()}
    return render(PAGE.read_text("utf-8"), tables, "docs/performance.md")


def write():
    """Writes the page and the plot anew; returns the paths of both."""
    records = read()
    write_file(PAGE, render_page(records))
    if not panels(records):
        return [PAGE]
    figure = figure_of(panels(records), shared_legend=False)
    write_file(PLOT, to_png(figure))
    return [PAGE, PLOT]
