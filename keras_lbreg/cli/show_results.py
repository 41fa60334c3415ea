"""Print the table of a comparison and write its report."""

import rich.box
import rich.table

from keras_lbreg.experiments.headline import headline
from keras_lbreg.experiments.report import write_report
from keras_lbreg.experiments.table import COLUMNS, table_rows


def show_results(results, console):
    """Write `report.html`, plots and tables; print table and headline."""
    page = write_report(results)
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1))
    for position, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if position else "left")
    for row in table_rows(results):
        table.add_row(*row)
    console.print(table)
    console.print(headline(results), markup=False)
    for run in results.runs:
        if run.status == "failed":
            console.print(
                f"failed: {run.arm}, seed {run.seed}: {run.reason}",
                style="red",
                markup=False,
            )
    console.print(f"Report: {page}", markup=False, soft_wrap=True)
