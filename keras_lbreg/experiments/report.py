"""The report of a comparison: one HTML page, plots and tables in files."""

import json

from keras_lbreg.experiments.figures import make_figures
from keras_lbreg.experiments.formatting import (
    format_count,
    format_rate,
)
from keras_lbreg.experiments.headline import headline
from keras_lbreg.experiments.page import render_page, write_file
from keras_lbreg.experiments.plot_style import INK, arm_colors, to_png
from keras_lbreg.experiments.reproduce import compare_command
from keras_lbreg.experiments.table import (
    COLUMNS,
    table_rows,
    to_csv,
    to_markdown,
)
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

    Reference: `lbreg report` does this.
    """
    folder = results.path
    figures = make_figures(results)
    for figure in figures:
        png = to_png(figure.figure)
        write_file(folder / "plots" / f"{figure.name}.png", png)
    write_file(folder / "table.md", to_markdown(results).encode())
    write_file(folder / "table.csv", to_csv(results).encode())
    page = folder / "report.html"
    write_file(page, render_report(results, figures).encode())
    return page


def render_report(results, figures):
    """Return the HTML page as a string."""
    return render_page("report.html.j2", page_content(results, figures))


def page_content(results, figures):
    """Return everything the template shows, as text and plain values."""
    manifest = results.manifest
    seeds = len(manifest["seeds"])
    total = seeds * len(results.arms)
    ended = [run for run in results.runs if run.status != "running"]
    titles = {arm["name"]: arm["title"] for arm in results.arms}
    return {
        "title": f"Large-batch comparison on {manifest['dataset']['title']}",
        "headline": headline(results),
        "facts": page_facts(manifest),
        "total": total,
        "missing": total - len(ended),
        "failed": [
            {"title": titles[run.arm], "seed": run.seed, "reason": run.reason}
            for run in ended
            if run.status == "failed"
        ],
        "columns": COLUMNS,
        "rows": table_content(results),
        "seeds": seeds,
        "figures": figures,
        "arms": [arm_content(arm) for arm in results.arms],
        "techniques": [
            technique
            for technique in TECHNIQUES
            if any(technique.name in arm["techniques"] for arm in results.arms)
        ],
        "command": compare_command(manifest, results.path),
        "environment": environment_content(manifest),
        "configuration": json.dumps(manifest, indent=2),
    }


def page_facts(manifest):
    """Return the line under the headline."""
    data, seeds = manifest["dataset"], len(manifest["seeds"])
    return [
        f"{format_count(data['train_samples'])} training and "
        f"{format_count(data['val_samples'])} validation samples, "
        f"{data['classes']} classes",
        f"{len(manifest['arms'])} arms, {seeds} seed{'s' if seeds > 1 else ''}",
        f"{manifest['backend']} on {manifest['device']}",
        manifest["created"][:10],
    ]


def table_content(results):
    """Return the table's rows with the arms' colours and group borders."""
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
    """Return what one arm trains with, as text."""
    rates = [arm["learning_rate"], *(rate for _, rate in arm["milestones"])]
    return {
        "title": arm["title"],
        "name": arm["name"],
        "batch_size": format_count(arm["batch_size"]),
        "learning_rate": ", ".join(format_rate(rate) for rate in rates),
        "epochs": format_count(arm["epochs"]),
        "updates": format_count(arm["updates"]),
        "changes": arm["changes"],
    }


def environment_content(manifest):
    """Return pairs of a name and a value: where the comparison ran."""
    versions = manifest["versions"]
    return [
        ("Data", manifest["dataset"]["notes"]),
        ("Device", manifest["device"]),
        ("Processors", manifest["cpu_count"]),
        ("System", manifest["platform"]),
        ("Versions", ", ".join(f"{k} {v}" for k, v in versions.items())),
        ("Commit", manifest["git_commit"] or "not a git checkout"),
        ("Seeds", ", ".join(str(seed) for seed in manifest["seeds"])),
        ("Begun", manifest["created"]),
    ]
