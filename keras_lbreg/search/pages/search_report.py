"""The page of a search."""

import json

from keras_lbreg.experiments.arms import BASELINE
from keras_lbreg.experiments.configuration_file import TUNED
from keras_lbreg.experiments.figures import make_figures
from keras_lbreg.experiments.formatting import format_count, format_duration
from keras_lbreg.experiments.page import render_page
from keras_lbreg.experiments.report import environment_content, table_content
from keras_lbreg.experiments.table import COLUMNS as ARM_COLUMNS
from keras_lbreg.search.confirmation.confirm_headline import confirm_headline
from keras_lbreg.search.pages.dimensions import format_value, settings_of
from keras_lbreg.search.pages.ranking import rank
from keras_lbreg.search.pages.search_headline import search_headline
from keras_lbreg.search.pages.search_table import (
    COLUMNS,
    TOP,
    failures,
    top_rows,
)
from keras_lbreg.search.pages.tune_command import tune_command
from keras_lbreg.search.pages.write_hparams import hparams_path
from keras_lbreg.techniques import names

ENDED = {
    "trials": "All trials have ended.",
    "budget": "The time given to the search was used up.",
    "exhausted": "Nothing was left to try.",
    None: "The search has not ended: the same command goes on with it.",
}


def render_search_report(results, confirmation, figures):
    """Return the page as a string of HTML.

    Args:
        results: A `SearchResults`.
        confirmation: The `Results` of the comparison on fresh seeds, or
            `None`.
        figures: The `ReportFigure`s to show.

    Returns:
        A string.

    Example:

    >>> html = render_search_report(results, None, make_search_figures(results))

    Reference: `keras_lbreg.experiments.report` makes that of a comparison.
    """
    content = search_content(results, figures)
    content["confirmation"] = confirmation_content(results, confirmation)
    content["headline"] = (
        content["best"]
        if confirmation is None
        else confirm_headline(confirmation)
    )
    return render_page(
        "search_report.html.j2", content, package="keras_lbreg.search.pages"
    )


def search_content(results, figures):
    """Return what the page says of the search, as text and plain values."""
    manifest, search = results.manifest, results.search
    logs = hparams_path(results)
    return {
        "title": f"Search on {manifest['dataset']['title']}",
        "best": search_headline(results),
        "facts": [
            f"{len(results.trials)} trials, tuner {search['tuner']}",
            f"{format_duration(results.elapsed)} of searching",
            f"{manifest['backend']} on {manifest['device']}",
            manifest["created"][:10],
        ],
        "ended": ENDED[results.ended_why],
        "unfinished": len(results.of_status("running")),
        "failures": failures(results),
        "columns": COLUMNS,
        "rows": top_rows(results),
        "top": TOP,
        "several_seeds": search["executions"] > 1,
        "noise": rank(results).margin > 0,
        "hparams": str(logs) if logs.is_dir() else None,
        "winner": winner_content(results.best),
        "figures": figures,
        "command": tune_command(search),
        "environment": environment_content(
            {**manifest, "seeds": seeds(search)}
        ),
        "configuration": json.dumps(manifest, indent=2),
    }


def winner_content(winner):
    """Return pairs of a name and a value of the winner's settings."""
    if winner is None:
        return []
    settings = settings_of(winner)
    return [
        (name, format_value(value))
        for name, value in settings.items()
        # A technique without any hyperparameter is named alone.
        if name not in names() or not has_settings(name, settings)
    ]


def has_settings(technique, settings):
    return any(name.startswith(f"{technique}.") for name in settings)


def seeds(search):
    return list(range(search["executions"]))


def confirmation_content(results, confirmation):
    """Return what the page says of the comparison, or `None`."""
    if confirmation is None:
        return None
    arms = {arm["name"]: arm for arm in confirmation.arms}
    large, tuned = arms[BASELINE], arms[TUNED]
    longer = tuned["epochs"] / large["epochs"]
    figures = make_figures(confirmation)
    return {
        "title": "The winner on fresh seeds"
        + (f", trained x{longer:.3g} longer" if longer > 1 else ""),
        "epochs": format_count(large["epochs"]),
        "longer": longer > 1,
        "seeds": ", ".join(str(x) for x in confirmation.manifest["seeds"]),
        "unseen": bool(results.search["holdout"]),
        "complete": confirmation.complete,
        "columns": ARM_COLUMNS,
        "rows": table_content(confirmation),
        "figure": figures[0] if figures else None,
    }
