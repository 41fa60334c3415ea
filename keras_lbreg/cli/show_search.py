"""Print what a search has found and write its report."""

import rich.box
import rich.table
import rich.text

from keras_lbreg.cli.settings_text import settings_text
from keras_lbreg.cli.show_results import print_table
from keras_lbreg.experiments.table import table_rows
from keras_lbreg.search.confirmation.confirm_experiment import read_confirmation
from keras_lbreg.search.confirmation.confirm_headline import confirm_headline
from keras_lbreg.search.pages.ranking import rank
from keras_lbreg.search.pages.search_headline import search_headline
from keras_lbreg.search.pages.search_table import COLUMNS, failures, top_rows
from keras_lbreg.search.pages.search_table import settings_text as full_settings
from keras_lbreg.search.pages.write_search_results import write_search_results


def show_search(results, console):
    """Write all files of a search; print its trials and the comparison.

    Args:
        results: A `SearchResults`; the search need not have ended.
        console: The `rich.console.Console` to print to.

    Returns:
        Whether there is a best trial, and no run of the comparison failed.
    """
    page = write_search_results(results)
    print_trials(results, console)
    comparison = read_confirmation(results)
    failed = []
    if comparison is not None:
        failed = print_comparison(comparison, console)
    say(f"Report: {page}", console)
    if results.best is not None:
        config = results.path / "best.json"
        command = f"lbreg train --config {config} --out model.keras"
        say(f"Train with the best: {command}", console)
    return results.best is not None and not failed


def print_trials(results, console):
    """Print the best trials, how far chance goes, and why others failed."""
    if trials := rank(results).trials:
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1))
        for column in COLUMNS[:-1]:
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column(COLUMNS[-1])
        sizes = len(results.manifest["resolved"]["batch_sizes"])
        # There may be more trials than rows.
        for trial, row in zip(trials, top_rows(results), strict=False):
            settings = settings_text(trial.configuration, sizes > 1)
            table.add_row(*row[:-1], rich.text.Text(settings))
        console.print(table)
    say(search_headline(results), console)
    if trials:
        say(f"Trial {trials[0].id}: {full_settings(trials[0])}.", console)
    for reason, ids in failures(results):
        say(f"Failed ({len(ids)}): {reason}: {', '.join(ids)}", console, "red")


def print_comparison(comparison, console):
    """Print the comparison on fresh seeds, and whether tuning helped.

    Args:
        comparison: Its `keras_lbreg.experiments.Results`.
        console: The `rich.console.Console` to print to.

    Returns:
        The runs that failed.
    """
    print_table(table_rows(comparison), console)
    say(confirm_headline(comparison), console)
    failed = [run for run in comparison.runs if run.status == "failed"]
    for run in failed:
        text = f"failed: {run.arm}, seed {run.seed}: {run.reason}"
        say(text, console, "red")
    return failed


def say(text, console, style=None):
    console.print(text, style=style, markup=False, soft_wrap=True)
