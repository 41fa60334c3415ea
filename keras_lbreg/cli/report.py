"""`lbreg report`: rebuild table, plots and page from recorded results."""

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
            metavar="FOLDER", help="Results of `lbreg compare`: runs/NAME."
        ),
    ],
    debug: options.Debug = False,
):
    """
    Rebuild the report of a comparison from its recorded results.

    Nothing is trained and no backend is loaded, so it takes seconds. It works
    while a comparison is still running: the report then shows the runs that
    are finished and says how many are not.

    **Examples**

    ```shell
    lbreg report runs/digits
    ```

    **What comes out**, in the same folder: `report.html`, `table.md`,
    `table.csv` and `plots/`. The table is printed as well.
    """
    from keras_lbreg.cli.show_results import show_results
    from keras_lbreg.experiments.results import read_results

    show_results(read_results(folder), make_console())
