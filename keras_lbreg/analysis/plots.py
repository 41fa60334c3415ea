"""A plot for each diagnostic."""

import numpy as np

from keras_lbreg.plot_style import INK, PALETTE, Panel, above_axis, log_axis

# Between the longest bar and the shortest, or the latter cannot be seen.
WIDEST = 30


def name(record):
    return record["models"][0]["name"]


def by_epsilon(records):
    """Pairs of ε and its records, in order."""
    groups = {}
    for record in records:
        groups.setdefault(record["settings"]["epsilon"], []).append(record)
    return list(groups.items())


def color_of(row):
    return PALETTE[row % len(PALETTE)]


def sharpness_panels(records):
    """A panel for each ε with a bar, or a point, for each model."""
    return [
        bars(
            group, "sharpness", "sharpness", "{:.3g}".format, f"ε = {epsilon:g}"
        )
        for epsilon, group in by_epsilon(records)
    ]


def hessian_panels(records):
    """A bar for each model, with the learning rate that it allows."""

    def label(value):
        text = f"{value:.3g}"
        return f"{text}  (2/λ = {2 / value:.2g})" if value > 0 else text

    xlabel = "largest eigenvalue λ of the Hessian"
    return [bars(records, "eigenvalue", xlabel, label)]


def bars(records, key, xlabel, label, title=""):
    values = [record["result"][key] for record in records]
    labels = list(map(label, values))
    long = max(map(len, labels)) > 8
    colors = list(map(color_of, range(len(values))))
    logarithmic = min(values) > 0 and max(values) > WIDEST * min(values)

    def draw(axis):
        axis.grid(False)
        if logarithmic:
            # A bar on a logarithmic axis has no true length.
            draw_points(axis, values, labels, colors, 1.0 if long else 0.35)
        else:
            drawn = axis.barh(range(len(values)), values, 0.6, color=colors)
            axis.bar_label(drawn, labels, padding=4)
            axis.margins(x=0.6 if long else 0.25)
            axis.set_xlim(left=min(0, *values, 0))
        name_rows(axis, records, 0.5)
        axis.spines["left"].set_visible(False)
        axis.set_xlabel(xlabel + (" (logarithmic)" if logarithmic else ""))

    return Panel(title, draw, 1.3 + 0.5 * len(values))


def draw_points(axis, values, labels, colors, room):
    for row, text in enumerate(labels):
        at = (values[row], row)
        axis.plot(*at, "o", color=colors[row], markersize=11)
        axis.annotate(text, at, (10, 0), "data", "offset points", va="center")
    # Room for the labels.
    ratio = max(values) / min(values)
    axis.set_xlim(min(values) / ratio**0.1, max(values) * ratio**room)
    log_axis(axis)
    axis.grid(True, axis="x")


def name_rows(axis, records, below):
    """A row for each model, the first one on top."""
    axis.set_yticks(range(len(records)), list(map(name, records)))
    axis.set_ylim(len(records) - below, below - 1)
    axis.tick_params(axis="y", length=0)


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
        name_rows(axis, records, 0.4)
        axis.grid(False)
        axis.grid(True, axis="x")
        log_axis(axis)
        axis.set_xlabel("noise scale B_simple, samples (90 % interval)")

    return [Panel("", draw, 1.4 + 0.55 * len(records))]


def draw_interval(axis, row, low, middle, high, big_batch, right):
    color = color_of(row)
    # A logarithmic axis has no 0.
    left = max(low or big_batch, 1)
    axis.plot([left, high or right], [row, row], color=color, linewidth=3)
    if high is None:
        axis.plot(right, row, ">", color=color, markersize=9)
    text = f"no signal found, above {left:,.0f}"
    if middle is not None:
        text = f"{middle:,.0f}"
        axis.plot(max(middle, 1), row, "o", color=color, markersize=10)
    at = (max(middle or left, 1), row)
    style = {"ha": "center" if middle else "left", "color": INK}
    axis.annotate(text, at, (0, 9), "data", "offset points", **style)


def interpolation_panels(records):
    """A panel of the loss and one of the accuracy, as Keskar's Figure 3."""
    (record,) = records
    result = record["result"]
    a = np.array(result["positions"])

    def panel(key, label, scale, color):
        def draw(axis):
            curves = {"training": ("train", "-"), "validation": ("val", "--")}
            for words, (part, dashes) in curves.items():
                values = scale * np.array(result[key][part], "float64")
                axis.plot(a, values, dashes, color=color, label=words)
            if key == "loss" and np.nanmin(values) > 0:
                # A loss that blows up beyond the ends would hide the valleys.
                axis.set_yscale("log")
                axis.yaxis.set_major_formatter(lambda y, _: f"{y:.10g}")
            axis.set(xlabel="a, from θ₀ (0) to θ₁ (1)", ylabel=label)
            axis.legend(loc="best")
            for place, model in enumerate(record["models"]):
                mark_end(axis, a, place, model["name"])

        return Panel("", draw, 3.8)

    panels = [panel("loss", "loss", 1, PALETTE[3])]
    if "accuracy" in result:
        panels.append(panel("accuracy", "accuracy, %", 100, PALETTE[0]))
    return panels


def mark_end(axis, a, place, text):
    if a[0] <= place <= a[-1]:
        axis.axvline(place, color=INK, linewidth=0.8, alpha=0.5)
        style = {"ha": "left" if place else "right", "va": "bottom"}
        above_axis(axis, place, text, 3, fontsize=9, color=INK, **style)
