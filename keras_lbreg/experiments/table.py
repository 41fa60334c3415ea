"""The table of a comparison, as rows, Markdown and CSV."""

import csv
import dataclasses
import io
import math

from keras_lbreg.experiments.arms import BASELINE, REFERENCE
from keras_lbreg.experiments.formatting import (
    MISSING,
    accuracy_decimals,
    format_count,
    format_duration,
    format_stat,
)
from keras_lbreg.experiments.statistics import Stat, arm_statistics

COLUMNS = (
    "arm",
    "seeds",
    "final, %",
    "best, %",
    "gap",
    "closed, %",
    "updates",
    "time",
    "time to small",
)


def table_rows(results):
    """Return one tuple of texts per arm, in the order of `COLUMNS`.

    Args:
        results: A `Results`.

    Returns:
        A list of tuples.
    """
    rows = arm_statistics(results)
    decimals = accuracy_decimals(row.final for row in rows)
    seeds = len(results.manifest["seeds"])
    return [_row(row, decimals, seeds) for row in rows]


def _row(row, decimals, seeds):
    runs = str(row.finished)
    if row.finished < seeds:
        runs += f" of {seeds}"
    if not row.finished:
        return (row.title, runs, *[MISSING] * (len(COLUMNS) - 2))
    reference = row.arm == REFERENCE
    # The ends of the scale, 0 and 100 by definition.
    measure = row.arm in (REFERENCE, BASELINE)
    return (
        row.title,
        runs,
        format_stat(row.final, decimals, 100),
        format_stat(row.best, decimals, 100),
        MISSING if reference else format_stat(row.gap, decimals, 100),
        MISSING if measure else format_stat(row.closed, 0, 100),
        format_count(row.updates.mean),
        format_duration(row.wall_time.mean),
        _reach(row),
    )


def _reach(row):
    """Return the time to the small batch's accuracy, and by how many runs."""
    if math.isnan(row.time_to_reference.mean):
        return "never"
    text = format_duration(row.time_to_reference.mean)
    if row.reached < row.finished:
        text += f" ({row.reached} of {row.finished})"
    return text


def to_markdown(results):
    """Return the table as Markdown.

    Args:
        results: A `Results`.
    """
    rule = [":--", *["--:"] * (len(COLUMNS) - 1)]
    rows = [COLUMNS, rule, *table_rows(results)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def to_csv(results):
    """Return the table as CSV, with full digits and spreads in columns.

    Accuracies and the share closed are fractions here, times are seconds, and
    an empty field is a number that does not exist.

    Args:
        results: A `Results`.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for position, row in enumerate(arm_statistics(results)):
        fields = dict(_fields(row))
        if position == 0:
            writer.writerow(fields)
        writer.writerow(fields.values())
    return buffer.getvalue()


def _fields(row):
    for field in dataclasses.fields(row):
        value = getattr(row, field.name)
        if isinstance(value, Stat):
            for part in ("mean", "std"):
                number = getattr(value, part)
                yield (
                    f"{field.name}_{part}",
                    "" if math.isnan(number) else f"{number:.6g}",
                )
        else:
            yield (
                field.name,
                len(value) if field.name == "failed" else value,
            )
