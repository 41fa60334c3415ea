"""The diagnostics: how their records are printed, read and drawn."""

import dataclasses
from collections.abc import Callable

import numpy as np

from keras_lbreg.analysis.gradient_noise_scale import advice
from keras_lbreg.analysis.plots import (
    by_epsilon,
    hessian_panels,
    interpolation_panels,
    name,
    noise_panels,
    sharpness_panels,
)
from keras_lbreg.formatting import MISSING, format_count, format_significant

SCALES = (
    "Compare models of one architecture on the same samples. Even so, a "
    "network can be made sharper or flatter without changing what it computes "
    "(Dinh et al. 2017), most easily in front of batch normalization, where "
    "the scale of the weights means nothing."
)


def percent(fraction):
    return MISSING if fraction is None else f"{100 * fraction:.1f} %"


def model_row(record, cells):
    """The only row of a record of one model: its key and its cells."""
    result = record["result"]
    fit = {"loss": format_significant(result["loss"], 3)}
    if "accuracy" in result:
        fit["accuracy"] = percent(result["accuracy"])
    return [(name(record), {"model": name(record), **fit, **cells})]


def sharpness_rows(record):
    column = f"sharpness, ε = {record['settings']['epsilon']:g}"
    value = format_significant(record["result"]["sharpness"], 3)
    return model_row(record, {column: value})


def sharpness_words(records):
    """Lines on the sharpness of one model or several, by ε."""
    lines = []
    for epsilon, group in by_epsilon(records):
        for record in group:
            r = record["result"]
            lines.append(
                f"{name(record)}: within ε = {epsilon:g} the loss rises from "
                f"{r['loss']:.4g} to at least {r['largest_loss']:.4g}: "
                f"sharpness {r['sharpness']:.3g}."
            )
        lines += compared(group, "sharpness")
    space = records[0]["settings"]["subspace"]
    if space:
        lines.append(f"Sought in {space} random directions, not in all.")
    return [*lines, *unequal_fit(records), SCALES]


def hessian_rows(record):
    value = record["result"]["eigenvalue"]
    cells = {
        "largest eigenvalue λ": format_significant(value, 3),
        "2/λ": format_significant(2 / value, 3) if value > 0 else MISSING,
    }
    return model_row(record, cells)


def hessian_words(records):
    """Lines on the largest eigenvalue and the learning rates it allows."""
    lines = []
    for record in records:
        value = record["result"]["eigenvalue"]
        line = f"{name(record)}: largest eigenvalue {value:.4g}."
        if value > 0:
            line += (
                " Plain gradient descent is stable here up to a learning rate "
                f"of 2/λ = {2 / value:.3g}, with momentum 0.9 up to "
                f"{3.8 / value:.3g}."
            )
        else:
            line += " The loss curves downwards everywhere: no minimum."
        lines.append(line)
    lines += compared(records, "eigenvalue")
    return [*lines, *unequal_fit(records), SCALES]


def noise_rows(record):
    result = record["result"]
    cells = {
        "B_simple, samples": samples(result["noise_scale"]),
        "90 % interval": interval(result),
    }
    return model_row(record, cells)


def samples(number):
    return "∞" if number is None else format_count(number)


def interval(result):
    """The 90 % interval of a noise scale."""
    return f"{samples(result['low'])} to {samples(result['high'])}"


def noise_words(records):
    """Lines on the batch size that each model could still use."""
    lines = []
    for record in records:
        r = record["result"]
        if r["noise_scale"] is None:
            found = advice(float("inf"), r["big_batch"])
        else:
            found = (
                f"B_simple is about {r['noise_scale']:,.0f} samples "
                f"({interval(r)})."
            )
        lines.append(f"{name(record)}: {found}")
    lines.append(
        "Updates needed at batch B: 1 + B_simple / B times the fewest; samples "
        "needed: 1 + B / B_simple times the fewest. Well below B_simple, twice "
        "the batch nearly halves the updates; far above, it buys little."
    )
    drawn, there = r["pairs"] * r["big_batch"], record["data"]["samples"]
    if drawn > there:
        lines.append(
            f"The big batches share samples ({drawn:,} drawn of {there:,}): "
            "the interval is narrower than the truth."
        )
    lines.append(
        "It holds for these weights: earlier in training it is smaller, often "
        "by far. Measured for plain SGD."
    )
    return lines


def interpolation_rows(record):
    """A row for each position on the line."""
    result = record["result"]
    columns = {"a": [f"{a:g}" for a in result["positions"]]}
    parts = {"training": "train", "validation": "val"}
    for words, part in parts.items():
        values = result["loss"][part]
        columns[f"{words} loss"] = [format_significant(v, 3) for v in values]
    if "accuracy" in result:
        for words, part in parts.items():
            values = map(percent, result["accuracy"][part])
            columns[f"{words} accuracy"] = values
    rows = zip(*columns.values(), strict=True)
    return [(row[0], dict(zip(columns, row, strict=True))) for row in rows]


def interpolation_words(records):
    """Lines on the ends, the barrier between them, and what lies beyond."""
    (record,) = records
    r = record["result"]
    names = [model["name"] for model in record["models"]]
    a = np.array(r["positions"])
    loss = np.array(r["loss"]["train"], "float64")
    lines = []
    for end, label in enumerate(names):
        at = int(np.argmin(np.abs(a - end)))
        if abs(a[at] - end) < 1e-6:
            line = f"{label} (a = {end}): training loss {loss[at]:.4g}"
            if "accuracy" in r:
                train, val = (r["accuracy"][part][at] for part in r["accuracy"])
                line += (
                    f", accuracy {percent(train)} in training and "
                    f"{percent(val)} in validation"
                )
            lines.append(f"{line}.")
    between = (a > 0) & (a < 1)
    ends = loss[np.isin(np.round(a, 6), (0, 1))]
    if between.any() and len(ends) == 2:
        top = np.nanmax(loss[between])
        lines.append(
            f"Between them the training loss rises to {top:.4g}: a barrier "
            "lies between two valleys."
            if top > 1.1 * max(ends) + 1e-3
            else "Between them it does not rise above the higher end: no "
            "barrier."
        )
    return [*lines, *beyond(a, loss, names), SCALES]


def beyond(a, loss, names):
    """A line on the two sides of the valley, where both were measured."""
    if a[0] > -0.5 or a[-1] < 1.5:
        return []
    at = np.interp((-0.5, 0, 1, 1.5), a, loss)
    rises = at[0] - at[1], at[3] - at[2]
    if not np.all(np.isfinite(rises)):
        return []
    flatter = f"flatter on the side of {names[int(rises[0] > rises[1])]}"
    if np.isclose(*rises, rtol=0.1):
        flatter = "about as flat on both sides"
    return [
        f"Half the distance beyond {names[0]} it changes by {rises[0]:+.3g}, "
        f"beyond {names[1]} by {rises[1]:+.3g}: on this line the valley is "
        f"{flatter}."
    ]


def compared(records, key):
    """How the extremes of several models compare."""
    values = [record["result"][key] for record in records]
    if len(values) < 2 or min(values) <= 0:
        return []
    low, high = records[np.argmin(values)], records[np.argmax(values)]
    ratio = max(values) / min(values)
    if ratio < 1.05:
        return ["They are about equally sharp."]
    times = f"{ratio:.2g}" if ratio < 100 else f"{ratio:,.0f}"
    return [f"{name(high)} is {times} times as sharp as {name(low)}."]


def unequal_fit(records):
    """A warning where one model has fitted the samples far less."""
    losses = [record["result"]["loss"] for record in records]
    least, most = min(losses), max(losses)
    if most < max(2 * least, 0.01):
        return []
    high, low = (name(records[losses.index(x)]) for x in (most, least))
    return [
        f"But the loss of {high} is {most:.3g}, that of {low} "
        f"{least:.3g}: the less a model has fitted the samples, the more "
        "slope and curvature the loss has left. Compare at equal loss to "
        "learn about the shape of the minima."
    ]


@dataclasses.dataclass(frozen=True)
class Measure:
    """One diagnostic; `unit` is what its progress counts."""

    title: str
    unit: str
    caption: str
    # Of a record: pairs of a row's key and its texts by column.
    rows: Callable
    # Of all records: lines of text, and `Panel`s.
    words: Callable
    panels: Callable


MEASURES = {
    "sharpness": Measure(
        "Sharpness",
        "evaluations",
        "100 (max f - f) / (1 + f), the maximum over a box of "
        "|z_i| <= ε (|θ_i| + 1) around the weights (Keskar et al. 2017): how "
        "much the loss rises close by.",
        sharpness_rows,
        sharpness_words,
        sharpness_panels,
    ),
    "hessian": Measure(
        "Largest eigenvalue of the Hessian",
        "Hessian-vector products",
        "Curvature along the sharpest direction. Gradient descent is stable "
        "there up to a learning rate of 2/λ.",
        hessian_rows,
        hessian_words,
        hessian_panels,
    ),
    "noise": Measure(
        "Gradient noise scale",
        "big batches",
        "The batch size at which noise and signal of the gradient are equal "
        "(McCandlish et al. 2018), with its 90 % interval.",
        noise_rows,
        noise_words,
        noise_panels,
    ),
    "interpolate": Measure(
        "Interpolation",
        "points",
        "On the line θ = (1 - a) θ₀ + a θ₁ through the weights of two models "
        "(Keskar et al. 2017, Figure 3).",
        interpolation_rows,
        interpolation_words,
        interpolation_panels,
    ),
}
