"""A bar for each model: sharpness and the largest eigenvalue."""

from keras_lbreg.analysis.saved.words import by_setting, name
from keras_lbreg.experiments.plot_layout import (
    PANEL_WIDTH,
    log_axis,
    new_figure,
)
from keras_lbreg.experiments.plot_style import PALETTE, plot_style

# Between the longest bar and the shortest, or the latter cannot be seen.
WIDEST = 30


def plot_sharpness(records):
    """Draw a panel for each ε with a bar, or a point, for each model.

    Args:
        records: Records of `lbreg analyze sharpness`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    groups = by_setting(records, "epsilon")
    panels = [
        (f"ε = {epsilon:g}", "sharpness", group, "sharpness", "{:.3g}".format)
        for epsilon, group in groups
    ]
    return draw(panels)


def plot_eigenvalues(records):
    """Draw a bar for each model, with the learning rate that it allows.

    Args:
        records: Records of `lbreg analyze hessian`.

    Returns:
        A `matplotlib.figure.Figure`.
    """

    def label(value):
        rate = 2 / value if value > 0 else 0
        written = f"{rate:,.0f}" if rate >= 100 else f"{rate:.2g}"
        return f"{value:.3g}" + (f"   (2/λ = {written})" if rate else "")

    xlabel = "largest eigenvalue λ of the Hessian"
    return draw([("", xlabel, records, "eigenvalue", label)])


def draw(panels):
    count = len(panels[0][2])
    with plot_style():
        figure = new_figure(
            PANEL_WIDTH * max(len(panels), 1.3), 1.3 + 0.5 * count
        )
        axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axis, panel in zip(axes, panels, strict=True):
            draw_panel(axis, *panel)
        axes[0].invert_yaxis()
    return figure


def draw_panel(axis, title, xlabel, records, key, label):
    values = [record["result"][key] for record in records]
    labels = [label(value) for value in values]
    colors = [PALETTE[i % len(PALETTE)] for i in range(len(values))]
    axis.grid(False)
    if min(values) > 0 and max(values) > WIDEST * min(values):
        # A bar on a logarithmic axis has no true length.
        draw_points(axis, values, labels, colors)
        xlabel += " (logarithmic)"
    else:
        draw_bars(axis, values, labels, colors)
    axis.set_yticks(range(len(values)), [name(record) for record in records])
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.set(title=title, xlabel=xlabel)


def draw_bars(axis, values, labels, colors):
    bars = axis.barh(range(len(values)), values, height=0.6, color=colors)
    axis.bar_label(bars, labels, padding=4)
    axis.margins(x=0.35 if max(map(len, labels)) > 8 else 0.2)
    axis.set_xlim(left=min(0, *values, 0))


def draw_points(axis, values, labels, colors):
    for row, (value, text, color) in enumerate(
        zip(values, labels, colors, strict=True)
    ):
        axis.plot(value, row, "o", color=color, markersize=11)
        axis.annotate(
            text,
            (value, row),
            (10, 0),
            textcoords="offset points",
            va="center",
        )
    # Room for the labels.
    ratio = max(values) / min(values)
    room = 0.55 if max(map(len, labels)) > 8 else 0.3
    axis.set_xlim(min(values) / ratio**0.1, max(values) * ratio**room)
    axis.set_ylim(-0.5, len(values) - 0.5)
    log_axis(axis)
    axis.grid(True, axis="x")
