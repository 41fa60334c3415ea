"""The figures of a search's report, and how to read each."""

from keras_lbreg.experiments.figures import ReportFigure
from keras_lbreg.search.pages.dimensions import dimensions
from keras_lbreg.search.pages.plot_parallel import (
    chosen_dimensions,
    plot_parallel,
)
from keras_lbreg.search.pages.plot_progress import plot_progress
from keras_lbreg.search.pages.plot_slices import plot_slices
from keras_lbreg.search.pages.ranking import rank

EARLY = (
    " Grey trials were stopped early by the tuner, so their accuracy does not "
    "compare."
)


def make_search_figures(results):
    """Draw the figures for which a search has enough trials.

    Args:
        results: A `SearchResults`.

    Returns:
        A list of `ReportFigure`s.

    Example:

    >>> [figure.name for figure in make_search_figures(results)]
    ['progress', 'slices', 'parallel']

    Reference: `keras_lbreg.experiments.figures`.
    """
    ranking = rank(results)
    if not ranking.trials:
        return []
    early = EARLY if ranking.shorter else ""
    band = (
        " The grey band is the noise: trials in it may be as good as the "
        "winner."
        if ranking.margin > 0
        else ""
    )
    figures = [
        ReportFigure(
            "progress",
            "Progress of the search",
            "A dot is a trial, placed where it ended; a triangle at the foot "
            "is one that falls out of the picture, a cross one that failed."
            f"{band}{early}",
            plot_progress(results),
        )
    ]
    found = dimensions(results)
    if len(ranking.trials) < 2 or not found:
        return figures
    figures.append(
        ReportFigure(
            "slices",
            "Each hyperparameter by itself",
            "Every panel shows the same trials against one hyperparameter; "
            "those where its technique is off have no place in it. The star "
            "is the winner, triangles fall out of the picture. ρ is a rank "
            "correlation (Spearman), given where chance would seldom give as "
            f"much in any of the {len(found)} panels; it says nothing of what "
            f"two hyperparameters do together.{early}",
            plot_slices(results),
        )
    )
    shown = len(chosen_dimensions(results))
    if shown < 2:
        return figures
    figures.append(
        ReportFigure(
            "parallel",
            "All hyperparameters together",
            "A line is a trial; the bluer, the more accurate, and the winner "
            f"is orange. Of {len(found)} hyperparameters the {shown} "
            "are shown whose rank correlation with the accuracy is least "
            "likely to be chance; which techniques are on shows in theirs. "
            "Below an axis: the technique is off.",
            plot_parallel(results),
        )
    )
    return figures
