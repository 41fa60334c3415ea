"""`lbreg report`: rebuild table, plots and page from recorded results."""

import pathlib

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import start_keras
from keras_lbreg.cli.compare import show_results
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.cli.tune import print_search
from keras_lbreg.formatting import make_console


@report_errors
def report(
    folder: options.argument(
        str,
        "FOLDER",
        "Results of `lbreg compare` (runs/NAME) or of `lbreg tune` "
        "(runs/tune-NAME).",
    ),
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
    command = read_json(manifest).get("command") if manifest.is_file() else ""
    if command in ("", "analyze"):
        raise ValueError(
            "Invalid value for argument `FOLDER`. Expected a folder with "
            "results of `lbreg compare` or `lbreg tune`. Received: "
            f"{folder}, whose manifest.json "
            + ("is of `lbreg analyze`" if command else "does not exist")
        )
    if command == "tune":
        from keras_lbreg.tuning.report import read_search, write_report

        read, show = read_search, print_search
    else:
        from keras_lbreg.comparison.report import write_report
        from keras_lbreg.comparison.results import read_results

        read, show = read_results, show_results
    results = read(folder)
    write_report(results)
    show(results, make_console())
