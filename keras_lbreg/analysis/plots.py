"""A plot for each diagnostic."""

import numpy as np

from keras_lbreg.plot_style import INK, PALETTE, Panel, above_axis, log_axis


def name(record):
    return record["models"][0]["name"]


def sharpness_panels(records):
    """A panel for each ε."""
    panels = {}
    for record in records:
        value = record["result"]["sharpness"]
        title = f"ε = {record['settings']['epsilon']:g}"
        panels.setdefault(title, []).append(
            (name(record), value, value, value, f"{value:.3g}")
        )
    return [rows(title, "sharpness", p) for title, p in panels.items()]


def hessian_panels(records):
    """A point for each model, with the learning rate that it allows."""
    points = []
    for record in records:
        value = record["result"]["eigenvalue"]
        text = f"{value:.3g}"
        if value > 0:
            text += f"  (2/λ = {2 / value:.2g})"
        points.append((name(record), value, value, value, text))
    return [rows("", "largest eigenvalue λ of the Hessian", points)]


def noise_panels(records):
    """B_simple with its 90 % interval.

    Where no signal was found, B_simple is somewhere to the right of the big
    batch.
    """
    points = []
    for record in records:
        keys = ("low", "noise_scale", "high", "big_batch")
        low, value, high, big_batch = (record["result"][key] for key in keys)
        low = big_batch if low is None else low
        text = f"no signal found up to {big_batch:,}"
        if value is not None:
            text = f"{value:,.0f}"
        points.append((name(record), low, value, high, text))
    return [rows("", "noise scale B_simple, samples (90 % interval)", points)]


def rows(title, xlabel, points):
    """A row for each `(name, low, value, high, text)`, the first on top.

    `None` as a value, or as an end of its interval, is larger than all others.
    """
    known = [v for point in points for v in point[1:4] if v is not None]
    logarithmic = min(known) > 0
    beyond = 3 * max(known)

    def draw(axis):
        for row, (_, low, value, high, text) in enumerate(points):
            style = {"color": PALETTE[row % len(PALETTE)], "linewidth": 3}
            at = beyond if value is None else value
            end = beyond if high is None else high
            axis.plot([low, end], [row, row], **style)
            if high is None:
                axis.plot(end, row, ">", markersize=10, **style)
            if value is not None:
                axis.plot(at, row, "o", markersize=10, **style)
            axis.annotate(
                text, (at, row), (0, 9), "data", "offset points", ha="center"
            )
        axis.set_yticks(range(len(points)), [point[0] for point in points])
        axis.set_ylim(len(points) - 0.4, -0.6)
        axis.tick_params(axis="y", length=0)
        axis.grid(False)
        axis.grid(True, axis="x")
        # Room for the texts.
        axis.margins(x=0.3)
        if logarithmic:
            log_axis(axis)
        axis.set_xlabel(xlabel)

    return Panel(title, draw, 1.4 + 0.55 * len(points))


def interpolation_panels(records):
    """A panel of the loss and one of the accuracy, as Keskar's Figure 3."""
    [record] = records
    result = record["result"]
    a = np.array(result["positions"])

    def panel(key, scale, color):
        def draw(axis):
            for part, dashes in (("training", "-"), ("validation", "--")):
                values = scale * np.array(result[key][part], "float64")
                axis.plot(a, values, dashes, color=color, label=part)
            if key == "loss" and np.nanmin(values) > 0:
                # A loss that blows up beyond the ends would hide the valleys.
                axis.set_yscale("log")
                axis.yaxis.set_major_formatter(lambda y, _: f"{y:.10g}")
            label = "loss" if key == "loss" else "accuracy, %"
            axis.set(xlabel="a, from θ₀ (0) to θ₁ (1)", ylabel=label)
            axis.legend(loc="best")
            for place, model in enumerate(record["models"]):
                if a[0] <= place <= a[-1]:
                    axis.axvline(place, color=INK, linewidth=0.8, alpha=0.5)
                    side = {"ha": ("right", "left")[place], "va": "bottom"}
                    above_axis(
                        axis, place, model["name"], 3, fontsize=9, **side
                    )

        return Panel("", draw, 3.8)

    panels = [panel("loss", 1, PALETTE[3])]
    if "accuracy" in result:
        panels.append(panel("accuracy", 100, PALETTE[0]))
    return panels
