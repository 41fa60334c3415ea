"""The report's figures: which there are, and how to read each."""

import dataclasses

from keras_lbreg.experiments import plots
from keras_lbreg.experiments.curves import mean_curves
from keras_lbreg.experiments.plot_style import to_svg


@dataclasses.dataclass(frozen=True)
class ReportFigure:
    """A figure with its words.

    Args:
        name: Stem of its file name.
        title: Heading.
        caption: How to read it.
        figure: The `matplotlib.figure.Figure`.
    """

    name: str
    title: str
    caption: str
    figure: object

    @property
    def svg(self):
        return to_svg(self.figure)


def make_figures(results):
    """Draw the figures for which `results` holds enough.

    Args:
        results: A `Results`.

    Returns:
        A list of `ReportFigure`s.
    """
    if not mean_curves(results):
        return []
    several = len(results.manifest["seeds"]) > 1
    band = (
        " Bands are one standard deviation over the seeds." if several else ""
    )
    bars = " Error bars are one standard deviation." if several else ""
    figures = [
        ReportFigure(
            "accuracy_by_epoch",
            "Accuracy by epoch",
            "Higher is better; the dashed line is where the small batch ends. "
            "An epoch is one pass over the training data. Regime adaptation "
            "(RA) trains for more of them, so that it makes as many updates "
            f"as the small batch.{band} Each legend is ordered by the final "
            "accuracy, which stands before the name.",
            plots.plot_accuracy_by_epoch(results),
        ),
        ReportFigure(
            "accuracy_by_time",
            "Accuracy by training time",
            "The same runs against the seconds they took on this machine, "
            "without compilation and validation. Further left is faster: "
            "a remedy pays where it reaches the dashed line before the small "
            "batch does. On a processor with few cores a large batch saves "
            "less time than on an accelerator.",
            plots.plot_accuracy_by_time(results),
        ),
    ]
    if plots.gap_closed_rows(results):
        figures.append(
            ReportFigure(
                "gap_closed",
                "Share of the gap closed",
                "0 % is the plain large batch, 100 % the small batch; left of "
                "zero a remedy does harm, right of 100 % it does better than "
                f"the small batch.{bars}",
                plots.plot_gap_closed(results),
            )
        )
    figures.append(
        ReportFigure(
            "weight_distance",
            "How far the weights travel",
            "Euclidean distance of all trainable weights from where they "
            "began, against the number of updates. On the logarithmic axis a "
            "straight line means that the distance grows as log t, as Hoffer "
            "et al. found for every batch size; b is the slope of the line "
            "fitted until the learning rate first falls. With learning-rate "
            "scaling and ghost batch norm they saw the lines of large and "
            "small batches come together.",
            plots.plot_weight_distance(results),
        )
    )
    return figures
