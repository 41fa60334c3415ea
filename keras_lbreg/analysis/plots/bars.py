"""A bar for each model: sharpness and the largest eigenvalue."""

from keras_lbreg.analysis.saved.words import by_setting, name
from keras_lbreg.experiments.plot_layout import PANEL_WIDTH, new_figure
from keras_lbreg.experiments.plot_style import PALETTE, plot_style


def plot_sharpness(records):
    """Draw a panel for each ε with a bar for each model.

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
        return f"{value:.3g}" + (
            f"   (2/λ = {2 / value:.2g})" if value > 0 else ""
        )

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
    positions = range(len(values))
    colors = [PALETTE[i % len(PALETTE)] for i in positions]
    bars = axis.barh(positions, values, height=0.6, color=colors)
    axis.bar_label(bars, [label(value) for value in values], padding=4)
    axis.set_yticks(list(positions), [name(record) for record in records])
    axis.tick_params(axis="y", length=0)
    axis.grid(False)
    axis.margins(x=0.35 if max(map(len, map(label, values))) > 8 else 0.2)
    axis.set_xlim(left=min(0, *values, 0))
    axis.spines["left"].set_visible(False)
    axis.set(title=title, xlabel=xlabel)
