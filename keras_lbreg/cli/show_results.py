"""Print the table of a comparison and write its report."""

import rich.box
import rich.table

from keras_lbreg.experiments.headline import headline
from keras_lbreg.experiments.report import write_report
from keras_lbreg.experiments.table import COLUMNS, table_rows

# Left out one after another where the terminal is too narrow.
DISPENSABLE = ("best, %", "updates", "seeds", "time to small")


def show_results(results, console):
    """Write `report.html`, plots and tables; print table and headline.

    Args:
        results: A `Results` with at least one recorded epoch.
        console: The `rich.console.Console` to print to.
    """
    page = write_report(results)
    print_table(table_rows(results), console)
    console.print(headline(results), markup=False)
    for run in results.runs:
        if run.status == "failed":
            console.print(
                f"failed: {run.arm}, seed {run.seed}: {run.reason}",
                style="red",
                markup=False,
                soft_wrap=True,
            )
    console.print(f"Report: {page}", markup=False, soft_wrap=True)


def print_table(rows, console):
    """Print the rows with as many columns as fit on the console."""
    unlimited = console.options.update(max_width=1000)
    for dropped in range(len(DISPENSABLE) + 1):
        hidden = DISPENSABLE[:dropped]
        table = make_table(rows, hidden)
        wanted = console.measure(table, options=unlimited).maximum
        if wanted <= console.width:
            break
    console.print(table)
    if hidden:
        console.print(
            f"Not shown for want of width: {', '.join(hidden)}.", style="dim"
        )


def make_table(rows, hidden=()):
    """Return a table of the rows without the columns in `hidden`."""
    shown = [i for i, column in enumerate(COLUMNS) if column not in hidden]
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1))
    for i in shown:
        side = "right" if i else "left"
        table.add_column(COLUMNS[i], justify=side, no_wrap=True)
    for row in rows:
        table.add_row(*(row[i] for i in shown))
    return table
