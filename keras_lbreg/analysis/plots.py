"""A plot for each diagnostic."""

import numpy as np

from keras_lbreg.analysis.words import by_epsilon, name
from keras_lbreg.plot_style import INK, PALETTE, Panel, log_axis

# Between the longest bar and the shortest, or the latter cannot be seen.
WIDEST = 30


def sharpness_panels(records):
    """A panel for each ε with a bar, or a point, for each model."""
    return [
        bars(
            f"ε = {epsilon:g}", "sharpness", group, "sharpness", "{:.3g}".format
        )
        for epsilon, group in by_epsilon(records)
    ]


def hessian_panels(records):
    """A bar for each model, with the learning rate that it allows."""

    def label(value):
        text = f"{value:.3g}"
        return f"{text}  (2/λ = {2 / value:.2g})" if value > 0 else text

    xlabel = "largest eigenvalue λ of the Hessian"
    return [bars("", xlabel, records, "eigenvalue", label)]


def bars(title, xlabel, records, key, label):
    values = [record["result"][key] for record in records]
    labels = [label(value) for value in values]
    colors = [PALETTE[i % len(PALETTE)] for i in range(len(values))]
    logarithmic = min(values) > 0 and max(values) > WIDEST * min(values)

    def draw(axis):
        axis.grid(False)
        if logarithmic:
            # A bar on a logarithmic axis has no true length.
            draw_points(axis, values, labels, colors)
        else:
            drawn = axis.barh(range(len(values)), values, 0.6, color=colors)
            axis.bar_label(drawn, labels, padding=4)
            axis.margins(x=0.6 if max(map(len, labels)) > 8 else 0.25)
            axis.set_xlim(left=min(0, *values, 0))
        axis.set_yticks(range(len(values)), [name(r) for r in records])
        axis.set_ylim(len(values) - 0.5, -0.5)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        axis.set_xlabel(xlabel + (" (logarithmic)" if logarithmic else ""))

    return Panel(title, draw, 1.3 + 0.5 * len(values))


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
    room = 1.0 if max(map(len, labels)) > 8 else 0.35
    axis.set_xlim(min(values) / ratio**0.1, max(values) * ratio**room)
    log_axis(axis)
    axis.grid(True, axis="x")


def noise_panels(records):
    """B_simple with its 90 % interval, on a logarithmic axis.

    Where no signal was found, an arrow begins at the big batch: B_simple is
    somewhere to the right.
    """
    keys = ("low", "noise_scale", "high", "big_batch")
    ends = [[record["result"][key] for key in keys] for record in records]
    # The arrows of what has no end reach as far as this.
    right = 3 * max(v for row in ends for v in row if v is not None)

    def draw(axis):
        for row, values in enumerate(ends):
            draw_interval(axis, row, *values, right)
        axis.set_yticks(range(len(records)), [name(r) for r in records])
        axis.tick_params(axis="y", length=0)
        axis.set_ylim(len(records) - 0.4, -0.6)
        axis.grid(False)
        axis.grid(True, axis="x")
        log_axis(axis)
        axis.set_xlabel("noise scale B_simple, samples (90 % interval)")

    return [Panel("", draw, 1.4 + 0.55 * len(records))]


def draw_interval(axis, row, low, middle, high, big_batch, right):
    color = PALETTE[row % len(PALETTE)]
    # A logarithmic axis has no 0.
    left = max(low or big_batch, 1)
    axis.plot([left, high or right], [row, row], color=color, linewidth=3)
    if high is None:
        axis.plot(right, row, ">", color=color, markersize=9)
    text = f"no signal found, above {left:,.0f}"
    if middle is not None:
        text = f"{middle:,.0f}"
        axis.plot(max(middle, 1), row, "o", color=color, markersize=10)
    axis.annotate(
        text,
        (max(middle or left, 1), row),
        (0, 9),
        textcoords="offset points",
        ha="center" if middle else "left",
        color=INK,
    )


def interpolation_panels(records):
    """A panel of the loss and one of the accuracy, as Keskar's Figure 3."""
    (record,) = records
    result = record["result"]
    a = np.array(result["positions"])
    names = [model["name"] for model in record["models"]]

    def panel(key, label, scale, color):
        def draw(axis):
            for part, words, dashes in (
                ("train", "training", "-"),
                ("val", "validation", "--"),
            ):
                values = scale * np.array(result[key][part], "float64")
                axis.plot(a, values, dashes, color=color, label=words)
            if key == "loss" and np.nanmin(values) > 0:
                # A loss that blows up beyond the ends would hide the valleys.
                axis.set_yscale("log")
                axis.yaxis.set_major_formatter(lambda y, _: f"{y:.10g}")
            axis.set(xlabel="a, from θ₀ (0) to θ₁ (1)", ylabel=label)
            axis.legend(loc="best")
            for position, end in enumerate(names):
                mark_end(axis, a, position, end)

        return Panel("", draw, 3.8)

    panels = [panel("loss", "loss", 1, PALETTE[3])]
    if "accuracy" in result:
        panels.append(panel("accuracy", "accuracy, %", 100, PALETTE[0]))
    return panels


def mark_end(axis, a, position, label):
    if not a[0] <= position <= a[-1]:
        return
    axis.axvline(position, color=INK, linewidth=0.8, alpha=0.5)
    axis.annotate(
        label,
        (position, 1),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if position == 0 else "left",
        va="bottom",
        fontsize=9,
        color=INK,
    )


PANELS = {
    "sharpness": sharpness_panels,
    "hessian": hessian_panels,
    "noise": noise_panels,
    "interpolate": interpolation_panels,
}
