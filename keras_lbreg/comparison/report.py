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
from keras_lbreg.formatting import format_count
from keras_lbreg.page import render_page
from keras_lbreg.plot_style import INK
from keras_lbreg.techniques import TECHNIQUES


def write_report(results):
    """Writes `report.html`, `table.md`, `table.csv` and `plots/*.png`.

    The files go into the results folder; runs need not have finished. Returns
    the path of the page.
    """
    folder = results.path
    plots = make_plots(results)
    for plot in plots:
        write_file(folder / "plots" / f"{plot.name}.png", plot.png())
    write_file(folder / "table.md", to_markdown(results))
    write_file(folder / "table.csv", to_csv(results))
    write_file(results.report_path, render_report(results, plots))
    return results.report_path


def render_report(results, plots):
    """The HTML page as a string."""
    manifest, workload = results.manifest, results.manifest["workload"]
    arms, seeds = results.arms, len(manifest["seeds"])
    total = seeds * len(arms)
    ended = sum(run.status != "running" for run in results.runs)
    content = {
        "title": "Large-batch comparison on "
        f"{workload['title'] or workload['name']}",
        "headline": headline(results),
        "facts": [
            f"{format_count(workload.get('train_samples'))} training and "
            f"{format_count(workload.get('val_samples'))} validation samples",
            f"{format_count(workload.get('parameters'))} parameters",
            f"{len(arms)} arms, {seeds} seed{'s' if seeds > 1 else ''}",
            f"{manifest.get('backend')} on {manifest.get('device')}",
            manifest["created"][:10],
        ],
        "total": total,
        "missing": total - ended,
        "excluded": excluded_runs(results),
        "columns": columns(results),
        "rows": colored_rows(results),
        "seeds": seeds,
        "is_share": results.is_share,
        "objective": results.objective,
        "maximize": results.maximize,
        "figures": plots,
        "arms": list(map(arm_content, arms)),
        "techniques": [
            technique
            for technique in TECHNIQUES
            if any(technique.name in arm["techniques"] for arm in arms)
        ],
        "command": shlex.join(map(str, manifest.get("argv") or ())),
        "environment": environment_content(manifest),
        "configuration": json.dumps(manifest, indent=2, default=str),
    }
    return render_page("report.html.j2", content, __package__)


def colored_rows(results):
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
    rates = [arm["learning_rate"], *(r for _, r in arm.get("milestones") or ())]
    decay = f", {arm['decay']} decay" if arm.get("decay") else ""
    counts = ("batch_size", "epochs", "updates")
    return {
        **arm,
        **{name: format_count(arm[name]) for name in counts},
        "learning_rate": ", ".join(f"{rate:.3g}" for rate in rates) + decay,
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
        ("Seeds", ", ".join(map(str, manifest["seeds"]))),
        ("Begun", manifest["created"]),
    ]
    return [(name, value) for name, value in pairs if value]
