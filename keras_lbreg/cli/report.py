"""`lbreg report`: rebuild table, plots and page from recorded results."""

import pathlib
from typing import Annotated

import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import start_keras
from keras_lbreg.cli.compare import show_results
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.formatting import make_console


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

    Nothing is trained. It works while either is still running: the report then
    shows the runs that are finished and says how many are not.

    **Examples**

    ```shell
    lbreg report runs/digits
    lbreg report runs/tune-digits
    ```

    **What comes out**, in the same folder: `report.html`, `table.md`,
    `plots/`, and `table.csv`, or `trials.csv` and `best.json` of a search.
    The table is printed as well.
    """
    start_keras()

    from keras_lbreg.files import read_json

    manifest = pathlib.Path(folder) / "manifest.json"
    command = None
    if manifest.is_file():
        command = read_json(manifest).get("command")
    if not manifest.is_file() or command == "analyze":
        raise ValueError(
            "Invalid value for argument `FOLDER`. Expected a folder with "
            "results of `lbreg compare` or `lbreg tune`. Received: "
            f"{folder}, whose manifest.json "
            + ("is of `lbreg analyze`" if command else "does not exist")
        )
    if command == "tune":
        from keras_lbreg.cli.tune import show_search

        show_search(folder, make_console())
        return
    from keras_lbreg.comparison.report import write_report
    from keras_lbreg.comparison.results import read_results

    results = read_results(folder)
    write_report(results)
    show_results(results, make_console())
