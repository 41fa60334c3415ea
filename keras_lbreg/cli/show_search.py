"""Print what a search has found."""

import rich.box
import rich.table
import rich.text

from keras_lbreg.cli.settings_text import settings_text
from keras_lbreg.cli.show_results import print_table
from keras_lbreg.experiments.table import table_rows
from keras_lbreg.search.confirm_headline import confirm_headline
from keras_lbreg.search.ranking import rank
from keras_lbreg.search.search_headline import search_headline
from keras_lbreg.search.search_table import COLUMNS, failures, top_rows
from keras_lbreg.search.search_table import settings_text as full_settings


def show_search(results, console):
    """Print the best trials, how far chance goes, and why others failed.

    Args:
        results: A `SearchResults`.
        console: The `rich.console.Console` to print to.
    """
    if trials := rank(results).trials:
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1))
        for column in COLUMNS[:-1]:
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column(COLUMNS[-1])
        sizes = len(results.manifest["resolved"]["batch_sizes"])
        # Zipped, as there may be more trials than rows.
        for trial, row in zip(trials, top_rows(results), strict=False):
            settings = settings_text(trial.configuration, sizes > 1)
            table.add_row(*row[:-1], rich.text.Text(settings))
        console.print(table)
    say(search_headline(results), console)
    if trials:
        say(f"Trial {trials[0].id}: {full_settings(trials[0])}.", console)
    for reason, ids in failures(results):
        say(f"Failed ({len(ids)}): {reason}: {', '.join(ids)}", console, "red")


def show_confirmation(results, console):
    """Print the comparison on fresh seeds, and whether tuning helped.

    Args:
        results: The `keras_lbreg.experiments.Results` of the comparison.
        console: The `rich.console.Console` to print to.
    """
    print_table(table_rows(results), console)
    say(confirm_headline(results), console)
    for run in results.runs:
        if run.status == "failed":
            text = f"failed: {run.arm}, seed {run.seed}: {run.reason}"
            say(text, console, "red")


def say(text, console, style=None):
    console.print(text, style=style, markup=False, soft_wrap=True)
