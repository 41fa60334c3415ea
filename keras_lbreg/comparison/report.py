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
    """Writes page, tables and plots, of what has finished; the page's path."""
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
    seeds = len(manifest["seeds"])
    total = seeds * len(results.arms)
    used = {name for arm in results.arms for name in arm["techniques"]}
    content = {
        "title": "Large-batch comparison on "
        f"{workload['title'] or workload['name']}",
        "headline": headline(results),
        "facts": [
            f"{format_count(workload.get('train_samples'))} training and "
            f"{format_count(workload.get('val_samples'))} validation samples",
            f"{format_count(workload.get('parameters'))} parameters",
            f"{len(results.arms)} arms, {seeds} seed{'s' if seeds > 1 else ''}",
            f"{manifest.get('backend')} on {manifest.get('device')}",
            manifest["created"][:10],
        ],
        "results": results,
        "manifest": manifest,
        "workload": workload,
        "versions": [f"{k} {v}" for k, v in manifest["versions"].items()],
        "seeds": seeds,
        "total": total,
        "missing": total - sum(r.status != "running" for r in results.runs),
        "excluded": excluded_runs(results),
        "columns": columns(results),
        "rows": colored_rows(results),
        "figures": plots,
        "techniques": [t for t in TECHNIQUES if t.name in used],
        "command": shlex.join(map(str, manifest.get("argv") or ())),
        "configuration": json.dumps(manifest, indent=2, default=str),
        "count": format_count,
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
