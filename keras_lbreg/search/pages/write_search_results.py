"""Write what is left of a search: tables, plots, pages, the winner."""

import pathlib

from keras_lbreg.experiments.configuration_file import write_configuration
from keras_lbreg.experiments.page import write_file
from keras_lbreg.experiments.plot_style import to_png
from keras_lbreg.experiments.report import write_report
from keras_lbreg.search.confirmation.confirm_experiment import read_confirmation
from keras_lbreg.search.pages.best_configuration import best_configuration
from keras_lbreg.search.pages.search_figures import make_search_figures
from keras_lbreg.search.pages.search_report import render_search_report
from keras_lbreg.search.pages.search_table import to_csv, to_json, to_markdown
from keras_lbreg.search.pages.write_hparams import write_hparams


def write_search_results(results):
    """Write what can be told of a search so far into its folder.

    ```
    best.json               the winner, for `lbreg train --config`
    trials.csv, trials.json all trials
    table.md                the best ones, and why others failed
    plots/*.png
    report.html
    tensorboard/            for the HParams tab (TensorFlow backend)
    confirm/report.html     where the winner was trained again
    ```

    Args:
        results: A `SearchResults`; the search need not have ended.

    Returns:
        The path of `report.html`.

    Example:

    >>> write_search_results(read_search("runs/tune-digits"))
    PosixPath('runs/tune-digits/report.html')

    Reference: `lbreg tune` does this at its end.
    """
    folder = pathlib.Path(results.path)
    confirmation = read_confirmation(results)
    if results.best is not None:
        write_configuration(folder / "best.json", best_configuration(results))
    if confirmation is not None:
        write_report(confirmation)
    write_file(folder / "trials.csv", to_csv(results).encode())
    write_file(folder / "trials.json", to_json(results).encode())
    write_file(folder / "table.md", to_markdown(results).encode())
    figures = make_search_figures(results)
    for figure in figures:
        png = to_png(figure.figure)
        write_file(folder / "plots" / f"{figure.name}.png", png)
    write_hparams(results)
    page = folder / "report.html"
    content = render_search_report(results, confirmation, figures)
    write_file(page, content.encode())
    return page
