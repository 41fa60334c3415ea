"""The diagnostics of saved models: how each is measured, shown and read."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from keras_lbreg.analysis.gradient_noise_scale import gradient_noise_scale
from keras_lbreg.analysis.hessian_top_eigenvalue import hessian_top_eigenvalue
from keras_lbreg.analysis.interpolate import interpolate
from keras_lbreg.analysis.sharpness import sharpness
from keras_lbreg.formatting import MISSING, format_count, format_significant
from keras_lbreg.plot_style import INK, PALETTE, Panel, above_axis, log_axis

SCALES = (
    "Compare models of one architecture on the same samples. Even so, a "
    "network can be made sharper or flatter without changing what it computes "
    "(Dinh et al. 2017), most easily in front of batch normalization, where "
    "the scale of the weights means nothing."
)


@dataclasses.dataclass(frozen=True)
class Measure:
    """One diagnostic: its words, its default settings and its functions."""

    title: str
    # What its progress counts.
    unit: str
    # What it is, and how it misleads.
    caption: str
    caveat: str
    settings: dict
    # `run(models, parts, settings, on_progress)` returns the result.
    run: Callable
    # The texts of a record by the table's column.
    cells: Callable
    # Lines on what these records show, and `Panel`s of them.
    notes: Callable
    panels: Callable


def of_one_model(function):
    """Runs one of the public functions on one model."""

    def run(models, parts, settings, on_progress):
        [model], [samples] = models, parts
        found = function(
            model.model,
            samples.x,
            samples.y,
            on_progress=on_progress,
            **settings,
        )
        # Infinity is null in JSON, and an eigenvector is long.
        return {
            name: None if value == math.inf else value
            for name, value in vars(found).items()
            if name != "eigenvector"
        }

    return run


def of_the_line(models, parts, settings, on_progress):
    """Runs `interpolate` on two models, training and validation data."""
    start, end, points = (settings[k] for k in ("start", "end", "points"))
    if not start < end or points < 2:
        raise ValueError(
            "Invalid value for arguments `points`, `start` and `end`. Expected "
            "two points or more, from a smaller a to a larger one. Received: "
            f"points={points}, start={start:g}, end={end:g}"
        )
    # Rounded: 0 and 1 are among them, and the file is read by people.
    positions = np.round(np.linspace(start, end, points), 9)
    line = interpolate(
        *(model.model for model in models),
        {s.description["part"]: (s.x, s.y) for s in parts},
        positions,
        settings["statistics"],
        parts[0].x,
        on_progress=on_progress,
    )
    result = {"positions": positions.tolist(), "loss": finite(line.loss)}
    if any("acc" in metric for metric in models[0].description["fit"]):
        result["accuracy"] = finite(line.accuracy)
    return result


def finite(curves):
    """Curves as JSON takes them."""
    return {
        name: [float(v) if np.isfinite(v) else None for v in values]
        for name, values in curves.items()
    }


def sharpness_cells(record):
    settings = record["settings"]
    column = f"sharpness, ε = {settings['epsilon']:g}"
    if settings["subspace"] is not None:
        column += f", in {settings['subspace']} directions"
    value = record["result"]["sharpness"]
    return {column: format_significant(value, 3)}


def hessian_cells(record):
    value = record["result"]["eigenvalue"]
    return {
        "largest eigenvalue λ": format_significant(value, 3),
        "2/λ": format_significant(2 / value, 3) if value > 0 else MISSING,
    }


def noise_cells(record):
    low, value, high = (
        "∞" if number is None else format_count(number)
        for number in map(record["result"].get, ("low", "noise_scale", "high"))
    )
    return {"B_simple, samples": value, "90 % interval": f"{low} to {high}"}


def unequal_fit(records):
    """A warning where one model has fitted the samples far less."""
    models = [record["models"][0] for record in records]
    low, *_, high = sorted(models * 2, key=lambda model: model["fit"]["loss"])
    least, most = low["fit"]["loss"], high["fit"]["loss"]
    if most < max(2 * least, 0.01):
        return []
    return [
        f"The loss of {high['name']} is {most:.3g}, that of {low['name']} "
        f"{least:.3g}: the less a model has fitted the samples, the more "
        "slope and curvature the loss has left. Compare at equal loss to "
        "learn about the shape of the minima."
    ]


def noise_notes(records):
    """A warning where the big batches are not independent."""
    result, [data] = records[0]["result"], records[0]["data"]
    drawn, there = result["pairs"] * result["big_batch"], data["samples"]
    if drawn <= there:
        return []
    return [
        f"The big batches share samples ({drawn:,} drawn of {there:,}): "
        "the interval is narrower than the truth."
    ]


def interpolation_notes(records):
    """The largest loss between two models, if it was measured."""
    [record] = records
    a = np.array(record["result"]["positions"])
    loss = np.array(record["result"]["loss"]["training"], "float64")
    inside = (a >= 0) & (a <= 1) & np.isfinite(loss)
    if inside.sum() < 3:
        return []
    a, loss = a[inside], loss[inside]
    first, second = (model["name"] for model in record["models"])
    top = np.argmax(loss)
    return [
        f"From {first} (a = {a[0]:g}) to {second} (a = {a[-1]:g}) the training "
        f"loss goes from {loss[0]:.4g} to {loss[-1]:.4g}; its largest value on "
        f"the way is {loss[top]:.4g}, at a = {a[top]:g}."
    ]


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
    """B_simple with its 90 % interval; without a signal, it is beyond B_b."""
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


MEASURES = {
    "sharpness": Measure(
        "Sharpness",
        "evaluations",
        "100 (max f - f) / (1 + f), the maximum over a box of "
        "|z_i| <= ε (|θ_i| + 1) around the weights (Keskar et al. 2017): how "
        "much the loss rises close by. A lower bound.",
        SCALES,
        {"epsilon": (1e-3, 5e-4), "subspace": None, "iterations": 10},
        of_one_model(sharpness),
        sharpness_cells,
        unequal_fit,
        sharpness_panels,
    ),
    "hessian": Measure(
        "Largest eigenvalue of the Hessian",
        "Hessian-vector products",
        "Curvature along the sharpest direction. Plain gradient descent is "
        "stable there up to a learning rate of 2/λ, with momentum m up to "
        "2 (1 + m)/λ. Where λ is not positive, this is no minimum.",
        SCALES,
        {"tolerance": 1e-3, "max_iterations": 100},
        of_one_model(hessian_top_eigenvalue),
        hessian_cells,
        unequal_fit,
        hessian_panels,
    ),
    "noise": Measure(
        "Gradient noise scale",
        "big batches",
        "The batch size at which noise and signal of the gradient are equal "
        "(McCandlish et al. 2018), with its 90 % interval. Updates needed at "
        "batch B: 1 + B_simple / B times the fewest; samples needed: "
        "1 + B / B_simple times the fewest. Well below B_simple, twice the "
        "batch nearly halves the updates; far above, it saves few.",
        "The noise scale holds for these weights, and for plain SGD: earlier "
        "in training it is smaller, often by far. ∞: larger than these "
        "batches can show.",
        {
            "small_batch": 64,
            "big_batch": 1024,
            "pairs": 20,
            "statistics": "batch",
        },
        of_one_model(gradient_noise_scale),
        noise_cells,
        noise_notes,
        noise_panels,
    ),
    "interpolation": Measure(
        "Interpolation",
        "points",
        "On the line θ = (1 - a) θ₀ + a θ₁ through the weights of two models "
        "(Keskar et al. 2017, Figure 3).",
        SCALES,
        {"points": 25, "start": -1.0, "end": 2.0, "statistics": "estimate"},
        of_the_line,
        lambda record: {},
        interpolation_notes,
        interpolation_panels,
    ),
}
