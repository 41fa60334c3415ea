"""A point with its interval for each model: the noise scale."""

from keras_lbreg.analysis.saved.words import name
from keras_lbreg.experiments.plot_layout import (
    PANEL_WIDTH,
    log_axis,
    new_figure,
)
from keras_lbreg.experiments.plot_style import INK, PALETTE, plot_style


def plot_noise_scale(records):
    """Draw B_simple with its 90 % interval, on a logarithmic axis.

    Where no signal was found, an arrow begins at the big batch: B_simple is
    somewhere to the right.

    Args:
        records: Records of `lbreg analyze noise-scale`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with plot_style():
        figure = new_figure(1.3 * PANEL_WIDTH, 1.5 + 0.55 * len(records))
        axis = figure.subplots()
        # The arrows of what has no end reach as far as this.
        right = 3 * max(
            value
            for record in records
            for value in ends(record)
            if value is not None
        )
        for row, record in enumerate(records):
            color = PALETTE[row % len(PALETTE)]
            draw_row(axis, row, record, right, color)
        axis.set_yticks(range(len(records)), [name(r) for r in records])
        axis.tick_params(axis="y", length=0)
        axis.set_ylim(len(records) - 0.4, -0.6)
        axis.grid(False)
        axis.grid(True, axis="x")
        log_axis(axis)
        axis.set_xlabel(
            "gradient noise scale B_simple, samples (90 % interval)"
        )
    return figure


def ends(record):
    r = record["result"]
    return r["low"], r["noise_scale"], r["high"], r["big_batch"]


def draw_row(axis, row, record, right, color):
    low, middle, high, big_batch = ends(record)
    # A logarithmic axis has no 0.
    left = max(low or big_batch, 1)
    axis.plot([left, high or right], [row, row], color=color, linewidth=3)
    if high is None:
        axis.plot(right, row, ">", color=color, markersize=9)
    if middle is None:
        text = f"no signal found, above {left:,.0f}"
    else:
        axis.plot(
            max(middle, 1),
            row,
            "o",
            color=color,
            markersize=10,
            markeredgecolor="white",
        )
        text = f"{middle:,.0f}"
    axis.annotate(
        text,
        (max(middle or left, 1), row),
        (0, 9),
        textcoords="offset points",
        ha="center" if middle else "left",
        color=INK,
    )
