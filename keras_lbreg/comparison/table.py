"""The table of a comparison, as rows, Markdown, CSV and for the terminal."""

import csv
import dataclasses
import io
import math

from keras_lbreg.comparison.arms import BASELINE, REFERENCE
from keras_lbreg.comparison.statistics import (
    Stat,
    arm_statistics,
    objective_words,
)
from keras_lbreg.formatting import (
    MISSING,
    format_count,
    format_duration,
    format_significant,
)

# Places of columns, left out one after another where a terminal is narrow.
DISPENSABLE = (3, 6, 8, 11, 1, 10)

# Which run a note is about, by the run's status.
EXCLUDED = ("failed", "damaged")


def columns(results):
    """The column's headings."""
    percent = ", %" if results.is_share else ""
    return (
        "arm",
        "seeds",
        f"final {objective_words(results)}{percent}",
        f"best{percent}",
        "gap",
        "closed, %",
        "against control",
        "verdict",
        "updates",
        "training",
        "all time",
        "time to small",
    )


def table_rows(results):
    """One tuple of texts per arm, in the order of `columns`.

    Args:
        results: A `Results`.

    Returns:
        A list of tuples.
    """
    rows = arm_statistics(results)
    decimals = share_decimals(row.final for row in rows)
    write = Writer(results, decimals)
    return [write.row(row) for row in rows]


class Writer:
    """Writes the cells of one table."""

    def __init__(self, results, decimals):
        self.titles = {arm["name"]: arm["title"] for arm in results.arms}
        self.seeds = len(results.manifest["seeds"])
        self.is_share = results.is_share
        self.decimals = decimals

    def row(self, row):
        runs = str(row.finished)
        if row.finished < self.seeds:
            runs += f" of {self.seeds}"
        if not row.finished:
            return (row.title, runs, *[MISSING] * 10)
        reference = row.arm == REFERENCE
        # The ends of the scale, 0 and 100 by definition.
        end = row.arm in (REFERENCE, BASELINE)
        return (
            row.title,
            runs,
            self.objective(row.final),
            self.objective(row.best),
            MISSING if reference else self.objective(row.gap, True),
            MISSING if end else format_stat(row.closed, 0, 100),
            self.against(row.verdict),
            row.verdict.word or MISSING,
            format_count(row.updates.mean),
            format_duration(row.time.mean),
            format_duration(row.elapsed.mean),
            reach(row),
        )

    def against(self, verdict):
        control = self.titles.get(verdict.control)
        if control is None or not verdict.difference.n:
            return MISSING
        difference = self.objective(verdict.difference, True, signed=True)
        return f"{difference} ({control})"

    def objective(self, stat, difference=False, signed=False):
        if self.is_share:
            return format_stat(stat, self.decimals, 100, signed)
        return format_number_stat(stat, signed, 3 if difference else 4)


def format_stat(stat, decimals=1, scale=1.0, signed=False):
    """A `Stat` as `mean ± std`, or `mean` alone for a single seed."""
    if math.isnan(stat.mean):
        return MISSING
    # Adding zero after rounding keeps "-0.0" out of the table.
    mean = round(scale * stat.mean, decimals) + 0.0
    text = f"{mean:{'+' if signed else ''}.{decimals}f}"
    if math.isnan(stat.std):
        return text
    return f"{text} ± {scale * stat.std:.{decimals}f}"


def format_number_stat(stat, signed=False, digits=4):
    """A `Stat` of any size with so many significant digits of the mean."""
    text = format_significant(stat.mean, digits)
    if signed and stat.mean > 0:
        text = f"+{text}"
    if math.isnan(stat.std) or text == MISSING:
        return text
    return f"{text} ± {format_significant(stat.std, 2)}"


def share_decimals(stats):
    """The decimals of shares in per cent that the seeds support."""
    stds = sorted(100 * s.std for s in stats if not math.isnan(s.std))
    if not stds:
        return 1
    return 2 if stds[len(stds) // 2] < 0.15 else 1


def reach(row):
    """The time to the small batch's level, and by how many runs."""
    if math.isnan(row.time_to_small.mean):
        return "never"
    text = format_duration(row.time_to_small.mean)
    if row.reached < row.finished:
        text += f" ({row.reached} of {row.finished})"
    return text


def excluded_runs(results):
    """Failed and damaged runs, which no number counts: text lines."""
    titles = {arm["name"]: arm["title"] for arm in results.arms}
    return [
        f"{titles.get(run.arm, run.arm)}, seed {run.seed}, {run.status}: "
        f"{run.reason}"
        for run in results.runs
        if run.status in EXCLUDED
    ]


def to_markdown(results):
    """The table as Markdown, with the runs it leaves out below it.

    Args:
        results: A `Results`.
    """
    text = markdown_table(columns(results), table_rows(results))
    excluded = excluded_runs(results)
    if excluded:
        text += "\nLeft out of every number:\n\n"
        text += "".join(f"- {line}\n" for line in excluded)
    return text


def markdown_table(columns, rows):
    """A Markdown table; the first column to the left, the others right."""
    rule = [":--", *["--:"] * (len(columns) - 1)]
    cells = [[str(c).replace("|", "\\|") for c in row] for row in rows]
    lines = (columns, rule, *cells)
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


def to_rich(results, width=80):
    """The table as a `rich.table.Table` with as many columns as fit.

    Args:
        results: A `Results`.
        width: Columns of the terminal. What does not fit is named in the
            table's caption; the files hold it.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    names, rows = columns(results), table_rows(results)
    widths = [
        max(map(len, column)) + 2 for column in zip(names, *rows, strict=True)
    ]
    shown = list(range(len(names)))
    for place in DISPENSABLE:
        if sum(widths[p] for p in shown) > width:
            shown.remove(place)
    hidden = [name for p, name in enumerate(names) if p not in shown]
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), header_style="bold")
    if hidden:
        table.caption = f"Not shown for want of width: {', '.join(hidden)}."
    for place in shown:
        side = "right" if place else "left"
        table.add_column(names[place], justify=side, no_wrap=not place)
    styles = {"better": "green", "worse": "red"}
    for row in rows:
        table.add_row(*(Text(row[p], styles.get(row[p], "")) for p in shown))
    return table


def to_csv(results):
    """The table as CSV, with full digits and spreads in columns.

    Shares are fractions here, times are seconds, differences are above 0
    where the arm is better than its control, and an empty field is a number
    that does not exist.

    Args:
        results: A `Results`.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for position, row in enumerate(arm_statistics(results)):
        fields = dict(csv_fields(row, results))
        if position == 0:
            writer.writerow(fields)
        writer.writerow(fields.values())
    return buffer.getvalue()


def csv_fields(row, results):
    """Pairs of a column's name and the arm's value."""
    for field in dataclasses.fields(row):
        value = getattr(row, field.name)
        if isinstance(value, Stat):
            yield f"{field.name}_mean", csv_number(value.mean)
            yield f"{field.name}_std", csv_number(value.std)
        elif field.name == "verdict":
            yield "control", value.control or ""
            yield "difference_mean", csv_number(value.difference.mean)
            yield "difference_std", csv_number(value.difference.std)
            yield "difference_low", csv_number(value.interval[0])
            yield "difference_high", csv_number(value.interval[1])
            yield "p", csv_number(value.p)
            yield "verdict", value.word
        else:
            yield field.name, value
    for status in EXCLUDED:
        runs = results.runs_of(row.arm)
        yield status, sum(run.status == status for run in runs)


def csv_number(number):
    return "" if math.isnan(number) else f"{number:.6g}"
