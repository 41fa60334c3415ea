"""What the results of the diagnostics mean, in plain words."""

import numpy as np

from keras_lbreg.analysis.gradient_noise_scale import advice
from keras_lbreg.formatting import MISSING, format_count

SCALES = (
    "Compare models of one architecture on the same samples. Even so, a "
    "network can be made sharper or flatter without changing what it computes "
    "(Dinh et al. 2017), most easily in front of batch normalization, where "
    "the scale of the weights means nothing."
)


def name(record):
    return record["models"][0]["name"]


def percent(fraction):
    return MISSING if fraction is None else f"{100 * fraction:.1f} %"


def by_epsilon(records):
    """Pairs of ε and its records, in order."""
    groups = {}
    for record in records:
        groups.setdefault(record["settings"]["epsilon"], []).append(record)
    return list(groups.items())


def interval(result):
    """The 90 % interval of a noise scale."""
    ends = [
        "∞" if result[key] is None else format_count(result[key])
        for key in ("low", "high")
    ]
    return " to ".join(ends)


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
    low = min(records, key=lambda record: record["result"]["loss"])
    high = max(records, key=lambda record: record["result"]["loss"])
    losses = [record["result"]["loss"] for record in (low, high)]
    if losses[1] < max(2 * losses[0], 0.01):
        return []
    return [
        f"But the loss of {name(high)} is {losses[1]:.3g}, that of {name(low)} "
        f"{losses[0]:.3g}: the less a model has fitted the samples, the more "
        "slope and curvature the loss has left. Compare at equal loss to "
        "learn about the shape of the minima."
    ]


WORDS = {
    "sharpness": sharpness_words,
    "hessian": hessian_words,
    "noise": noise_words,
    "interpolate": interpolation_words,
}
