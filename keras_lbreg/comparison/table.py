"""The table of a comparison, as rows, Markdown, CSV and for the terminal."""

import csv
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
    markdown_table,
    rich_table,
)

# Places of columns, left out one after another where a terminal is narrow.
DISPENSABLE = (3, 6, 8, 11, 1, 10)

# Statuses of runs that no number counts.
EXCLUDED = ("failed", "damaged")


def columns(results):
    """The headings of the columns."""
    return tuple(cells(results)[0])


def table_rows(results):
    """One tuple of texts per arm, in the order of `columns`."""
    return [tuple(row.values()) for row in cells(results)]


def cells(results):
    """The texts of every arm by the column's heading."""
    rows = arm_statistics(results)
    titles = {row.arm: row.title for row in rows}
    stds = sorted(r.final.std for r in rows if not math.isnan(r.final.std))
    # As many decimals as the seeds support.
    decimals = 2 if stds and stds[len(stds) // 2] < 0.0015 else 1
    percent = ", %" if results.is_share else ""

    def objective(stat, digits=4, signed=False):
        if results.is_share:
            return format_stat(stat, decimals, 100, signed)
        return format_number_stat(stat, signed, digits)

    def against_control(row):
        if not row.difference.n:
            return MISSING
        difference = objective(row.difference, 3, signed=True)
        return f"{difference} ({titles[row.control]})"

    def cells_of(row):
        # The ends of the scale, 0 and 100 by definition.
        end = row.arm in (REFERENCE, BASELINE)
        return {
            "arm": row.title,
            "seeds": part(row.finished, len(results.manifest["seeds"])),
            f"final {objective_words(results)}{percent}": objective(row.final),
            f"best{percent}": objective(row.best),
            "gap": MISSING if row.arm == REFERENCE else objective(row.gap, 3),
            "closed, %": MISSING if end else format_stat(row.closed, 0, 100),
            "against control": against_control(row),
            "verdict": row.verdict or MISSING,
            "updates": format_count(row.updates.mean),
            "training": format_duration(row.time.mean),
            "all time": format_duration(row.elapsed.mean),
            "time to small": reach(row),
        }

    return list(map(cells_of, rows))


def part(count, whole):
    return f"{count} of {whole}" if count < whole else str(count)


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


def reach(row):
    """The time to the small batch's level, and by how many runs."""
    if not row.reached:
        return "never" if row.finished else MISSING
    text = format_duration(row.time_to_small.mean)
    if row.reached < row.finished:
        text += f" ({part(row.reached, row.finished)})"
    return text


def excluded_runs(results):
    """Failed and damaged runs, which no number counts: text lines."""
    titles = {arm["name"]: arm["title"] for arm in results.arms}
    return [
        f"{titles[run.arm]}, seed {run.seed}, {run.status}: {run.reason}"
        for run in results.runs
        if run.status in EXCLUDED
    ]


def to_markdown(results):
    """The table as Markdown, with the runs it leaves out below it."""
    text = markdown_table(columns(results), table_rows(results))
    excluded = excluded_runs(results)
    if excluded:
        text += "\nLeft out of every number:\n\n"
        text += "".join(f"- {line}\n" for line in excluded)
    return text


def to_rich(results, width=80):
    """The table for a terminal; what does not fit is named in its caption."""
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
    table = rich_table([names[place] for place in shown], rows=())
    if hidden:
        table.caption = f"Not shown for want of width: {', '.join(hidden)}."
    styles = {"better": "green", "worse": "red"}
    for row in rows:
        table.add_row(*(Text(row[p], styles.get(row[p], "")) for p in shown))
    return table


def to_csv(results):
    """The table as CSV, with full digits and spreads in columns.

    Shares are fractions here, times are seconds, differences are above 0
    where the arm is better than its control, and an empty field is a number
    that does not exist.
    """
    rows = []
    for row in arm_statistics(results):
        fields = {}
        for name, value in vars(row).items():
            if isinstance(value, Stat):
                fields |= stat_fields(name, value)
            else:
                fields[name] = value
        runs = results.runs_of(row.arm)
        for status in EXCLUDED:
            fields[status] = sum(run.status == status for run in runs)
        rows.append(fields)
    return csv_of(rows)


def csv_of(rows):
    """Dictionaries as lines of CSV; what one lacks stays empty."""
    rows = list(rows)
    names = dict.fromkeys(name for row in rows for name in row)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: csv_text(x) for name, x in row.items()})
    return buffer.getvalue()


def stat_fields(name, stat):
    return {f"{name}_mean": stat.mean, f"{name}_std": stat.std}


def csv_text(value):
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.6g}"
