"""Accuracy by epoch, a figure for each of the paper's."""

from keras_lbreg.comparison.plots import (
    mean_curves,
)
from keras_lbreg.plot_style import (
    new_figure,
    plot_style,
)
from recipes.study.plots import arm_colors
from recipes.yuan_2020.configuration import BATCHES, FIGURES, OTHERS
from recipes.yuan_2020.small import (
    DIGITS_BATCHES,
    DIGITS_MOMENTA,
    DIGITS_OTHERS,
    MNIST_BATCH,
)

# Inches.
PANEL = (3.6, 3.2)
COLUMNS = 3
LEGEND_ROW = 0.28


def accuracy_panels(study, comparisons, lowest=0.0):
    """Validation accuracy by epoch, a panel for each comparison that ran.

    Args:
        study: The `Study`.
        comparisons: The `Comparison`s.
        lowest: The lowest accuracy to show, in per cent.

    Returns:
        A `matplotlib.figure.Figure`, or None where nothing was run.

    Example:

    >>> accuracy_panels(STUDY, DIGITS_BATCHES)

    Reference: Figs. 2-8 of https://arxiv.org/abs/2011.08968
    """
    found = [(c, study.results(c.name)) for c in comparisons]
    found = [(c, r) for c, r in found if r is not None and mean_curves(r)]
    if not found:
        return None
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    arms = max((r.arms for _, r in found), key=len)
    legend_rows = -(-len(arms) // 2)
    with plot_style():
        figure = new_figure(
            max(PANEL[0] * columns, 2 * PANEL[0]),
            PANEL[1] * rows + LEGEND_ROW * legend_rows,
        )
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axis in axes.flat[len(found) :]:
            axis.set_visible(False)
        for axis, (comparison, results) in zip(axes.flat, found, strict=False):
            draw(axis, comparison, results)
            axis.set_ylim(lowest, 101)
        for row in axes:
            row[0].set_ylabel("validation accuracy, %")
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2)
    return figure


def draw(axis, comparison, results):
    """One panel."""
    colors = arm_colors(results.arms)
    for curve in mean_curves(results):
        color, dashes = colors[curve.name]
        axis.plot(
            curve.epoch,
            curve.objective,
            color=color,
            linestyle=dashes,
            linewidth=1.6,
            label=curve.title,
        )
        axis.fill_between(
            curve.epoch,
            curve.objective - curve.spread,
            curve.objective + curve.spread,
            color=color,
            alpha=0.12,
            linewidth=0,
        )
    seeds = len(results.manifest["seeds"])
    # The panels are narrow.
    axis.set_title(comparison.title.replace(" (ours", "\n(ours"), fontsize=9)
    axis.set_xlabel(f"epoch ({seeds} seeds)" if seeds > 1 else "epoch")


def paper_figure(number):
    """The function that draws one of the paper's Figs. 2-8."""
    chosen = [c for c in (*BATCHES, *OTHERS) if c.part == f"Fig. {number}"]
    return lambda study: accuracy_panels(study, chosen)


def small_figure(comparisons, lowest=0.0):
    """The function that draws small comparisons."""
    return lambda study: accuracy_panels(study, comparisons, lowest)


ACCURACY_FIGURES = {
    **{
        f"figure_{number}.png": paper_figure(number)
        for number in (*FIGURES, 6, 7, 8)
    },
    "digits_batches.png": small_figure(DIGITS_BATCHES),
    "digits_positions.png": small_figure(DIGITS_OTHERS[:1]),
    "digits_weights.png": small_figure(DIGITS_OTHERS[1:]),
    "digits_momenta.png": small_figure(DIGITS_MOMENTA),
    "mnist.png": small_figure((MNIST_BATCH,)),
}
