"""Loss and accuracy along the line through two models."""

import numpy as np

from keras_lbreg.experiments.plot_layout import PANEL_WIDTH, new_figure
from keras_lbreg.experiments.plot_style import INK, PALETTE, plot_style

PARTS = (("train", "training", "-"), ("val", "validation", "--"))
PANELS = (("loss", "loss", 1), ("accuracy", "accuracy, %", 100))


def plot_interpolation(records):
    """Draw a panel of the loss and one of the accuracy, as Keskar's Figure 3.

    Args:
        records: The one record of `lbreg analyze interpolate`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    (record,) = records
    result = record["result"]
    a = np.array(result["positions"])
    with plot_style():
        figure = new_figure(2 * PANEL_WIDTH, 4.2)
        axes = figure.subplots(1, 2, sharex=True)
        for axis, color, (key, label, scale) in zip(
            axes, (PALETTE[3], PALETTE[0]), PANELS, strict=True
        ):
            for part, words, dashes in PARTS:
                values = scale * np.array(result[key][part], "float64")
                axis.plot(a, values, dashes, color=color, label=words)
            axis.set(
                title=label.capitalize(),
                xlabel="a, position on the line θ = (1 − a) θ₀ + a θ₁",
            )
            axis.legend(loc="best")
        # A loss that blows up beyond the ends would hide the valleys.
        axes[0].set_yscale("log")
        axes[0].yaxis.set_major_formatter(lambda y, _: f"{y:.10g}")
        for axis in axes:
            mark_ends(axis, a, [model["name"] for model in record["models"]])
    return figure


def mark_ends(axis, a, names):
    for position, label in enumerate(names):
        if not a[0] <= position <= a[-1]:
            continue
        axis.axvline(position, color=INK, linewidth=0.8, alpha=0.5)
        axis.annotate(
            label,
            (position, 1),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=9,
            color=INK,
        )
