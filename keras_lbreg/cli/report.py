"""`lbreg report`: rebuild table, plots and page from recorded results."""

import pathlib
from typing import Annotated

import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.console import make_console
from keras_lbreg.cli.errors import report_errors


@report_errors
def report(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help=(
                "Results of `lbreg compare` (runs/NAME) or of `lbreg tune` "
                "(runs/tune-NAME)."
            ),
        ),
    ],
    debug: options.Debug = False,
):
    """
    Rebuild the report of a comparison or a search from its recorded results.

    Nothing is trained, and for a comparison no backend is loaded, so it takes
    seconds. It works while either is still running: the report then shows the
    runs that are finished and says how many are not.

    **Examples**

    ```shell
    lbreg report runs/digits
    lbreg report runs/tune-digits
    ```

    **What comes out**, in the same folder: `report.html`, `table.md`,
    `plots/`, and `table.csv`, or `trials.csv` and `best.json` of a search.
    The table is printed as well.
    """
    if (pathlib.Path(folder) / "search.json").is_file():
        report_search(folder)
        return
    from keras_lbreg.cli.show_results import show_results
    from keras_lbreg.experiments.results import read_results

    show_results(read_results(folder), make_console())


def report_search(folder):
    """Rebuild the report of a search."""
    from keras_lbreg.cli.backend import start_keras

    # A search knows its techniques, and those know Keras.
    start_keras()

    from keras_lbreg.cli.show_search import show_search
    from keras_lbreg.search import read_search

    show_search(read_search(folder), make_console())
