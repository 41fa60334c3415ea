"""The report of a comparison: one HTML page, plots and tables in files."""

import json
import shlex

from keras_lbreg.comparison.plots import arm_colors, make_plots
from keras_lbreg.comparison.statistics import headline
from keras_lbreg.comparison.table import (
    columns,
    excluded_runs,
    table_rows,
    to_csv,
    to_markdown,
)
from keras_lbreg.files import write_file
from keras_lbreg.formatting import format_count, format_rate
from keras_lbreg.page import render_page
from keras_lbreg.plot_style import INK
from keras_lbreg.techniques import TECHNIQUES


def write_report(results):
    """Write `report.html`, `table.md`, `table.csv` and `plots/*.png`.

    The files go into the results folder. Each is replaced at once, so that
    an open page or a second process never sees a half of one.

    Args:
        results: A `Results`; its runs need not have finished.

    Returns:
        The path of `report.html`.

    Example:

    >>> write_report(read_results("runs/digits"))
    PosixPath('runs/digits/report.html')
    """
    folder = results.path
    plots = make_plots(results)
    for plot in plots:
        write_file(folder / "plots" / f"{plot.name}.png", plot.png())
    write_file(folder / "table.md", to_markdown(results))
    write_file(folder / "table.csv", to_csv(results))
    page = folder / "report.html"
    write_file(page, render_report(results, plots))
    return page


def render_report(results, plots):
    """The HTML page as a string."""
    content = page_content(results, plots)
    return render_page("report.html.j2", content, "keras_lbreg.comparison")


def page_content(results, plots):
    """Everything the template shows, as text and plain values."""
    manifest, workload = results.manifest, results.manifest["workload"]
    seeds = len(manifest["seeds"])
    total = seeds * len(results.arms)
    ended = sum(run.status != "running" for run in results.runs)
    title = workload["title"] or workload["name"]
    return {
        "title": f"Large-batch comparison on {title}",
        "headline": headline(results),
        "facts": page_facts(manifest),
        "total": total,
        "missing": total - ended,
        "excluded": excluded_runs(results),
        "columns": columns(results),
        "rows": table_content(results),
        "seeds": seeds,
        "is_share": results.is_share,
        "objective": results.objective,
        "maximize": results.maximize,
        "figures": [
            {
                "title": plot.title,
                "caption": plot.caption,
                "svgs": plot.svgs(),
            }
            for plot in plots
        ],
        "arms": [arm_content(arm) for arm in results.arms],
        "techniques": [
            technique
            for technique in TECHNIQUES
            if any(technique.name in arm["techniques"] for arm in results.arms)
        ],
        "command": shlex.join(map(str, manifest.get("argv") or ())),
        "environment": environment_content(manifest),
        "configuration": json.dumps(manifest, indent=2, default=str),
    }


def page_facts(manifest):
    """The line under the headline."""
    workload, seeds = manifest["workload"], len(manifest["seeds"])
    facts = [
        f"{format_count(workload.get('train_samples'))} training and "
        f"{format_count(workload.get('val_samples'))} validation samples",
        f"{format_count(workload.get('parameters'))} parameters",
        f"{len(manifest['arms'])} arms, {seeds} seed{'s' if seeds > 1 else ''}",
        f"{manifest.get('backend')} on {manifest.get('device')}",
        manifest["created"][:10],
    ]
    return facts


def table_content(results):
    """The table's rows with the arms' colours and group borders."""
    colors = arm_colors(results.arms)
    content, group = [], None
    for arm, cells in zip(results.arms, table_rows(results), strict=True):
        color = colors[arm["name"]][0]
        content.append(
            {
                "cells": cells,
                "color": "currentColor" if color == INK else color,
                "opens_group": group not in (None, arm["group"]),
            }
        )
        group = arm["group"]
    return content


def arm_content(arm):
    """What one arm trains with, as text."""
    rates = [arm["learning_rate"]]
    rates += [rate for _, rate in arm.get("milestones") or ()]
    decay = arm.get("decay")
    return {
        "title": arm["title"],
        "name": arm["name"],
        "batch_size": format_count(arm["batch_size"]),
        "learning_rate": ", ".join(format_rate(rate) for rate in rates)
        + (f", {decay} decay" if decay else ""),
        "epochs": format_count(arm["epochs"]),
        "updates": format_count(arm["updates"]),
        "changes": arm["changes"],
    }


def environment_content(manifest):
    """Pairs of a name and a value: where the comparison ran."""
    workload = manifest["workload"]
    versions = manifest.get("versions") or {}
    pairs = [
        ("Workload", workload.get("source")),
        ("Data", workload.get("notes")),
        ("Optimizer", workload.get("optimizer")),
        ("Loss", workload.get("loss")),
        ("Device", manifest.get("device")),
        ("Processors", manifest.get("cpu_count")),
        ("System", manifest.get("platform")),
        ("Versions", ", ".join(f"{k} {v}" for k, v in versions.items())),
        ("Commit", manifest.get("git_commit") or "not a git checkout"),
        ("Seeds", ", ".join(str(seed) for seed in manifest["seeds"])),
        ("Begun", manifest["created"]),
    ]
    return [(name, value) for name, value in pairs if value]
