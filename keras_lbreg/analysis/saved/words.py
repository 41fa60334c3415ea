"""What the results of the diagnostics mean, in plain words."""

import numpy as np

from keras_lbreg.analysis.gradient_noise_scale import advice

SCALES = (
    "Compare models of one architecture on the same samples. Even so, a "
    "network can be made sharper or flatter without changing what it computes "
    "(Dinh et al. 2017), most easily in front of batch normalization, where "
    "the scale of the weights means nothing."
)


def sharpness_words(records):
    """Lines on the sharpness of one model or several, by ε."""
    lines = []
    for epsilon, group in by_setting(records, "epsilon"):
        for record in group:
            r = record["result"]
            lines.append(
                f"{name(record)}: within ε = {epsilon:g} the loss rises from "
                f"{r['loss']:.4g} to at least {r['largest_loss']:.4g}: "
                f"sharpness {r['sharpness']:.3g}."
            )
        lines += compared(group, "sharpness", "sharp")
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
    return [
        *lines,
        *compared(records, "eigenvalue", "sharp"),
        *unequal_fit(records),
        SCALES,
    ]


def noise_scale_words(records):
    """Lines on the batch size that each model could still use."""
    lines = []
    for record in records:
        r = record["result"]
        found, low, high = (
            float("inf") if r[key] is None else r[key]
            for key in ("noise_scale", "low", "high")
        )
        if np.isfinite(found):
            lines.append(
                f"{name(record)}: B_simple is about {found:,.0f} samples "
                f"({low:,.0f} to {high:,.0f})."
            )
        else:
            lines.append(f"{name(record)}: {advice(found, r['big_batch'])}")
    lines.append(
        "Updates needed at batch B: 1 + B_simple / B times the fewest; samples "
        "needed: 1 + B / B_simple times the fewest. Well below B_simple, twice "
        "the batch nearly halves the updates; far above, it buys little."
    )
    drawn = r["pairs"] * r["big_batch"]
    there = record["data"]["samples"]
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
    first, second = (model["name"] for model in record["models"])
    a = np.array(r["positions"])
    lines = []
    loss = np.array(r["loss"]["train"], "float64")
    for end, label in ((0, first), (1, second)):
        at = int(np.argmin(np.abs(a - end)))
        if abs(a[at] - end) < 1e-6:
            lines.append(
                f"{label} (a = {end}): training loss {loss[at]:.4g}, accuracy "
                f"{percent(r['accuracy']['train'][at])} in training and "
                f"{percent(r['accuracy']['val'][at])} in validation."
            )
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
    rises = [
        np.interp(beyond, a, loss) - np.interp(end, a, loss)
        if a[0] <= min(beyond, end) and max(beyond, end) <= a[-1]
        else np.nan
        for beyond, end in ((-0.5, 0), (1.5, 1))
    ]
    if np.all(np.isfinite(rises)):
        flatter = f"flatter on the side of {first}"
        if np.isclose(*rises, rtol=0.1):
            flatter = "about as flat on both sides"
        elif rises[0] > rises[1]:
            flatter = f"flatter on the side of {second}"
        lines.append(
            f"Half the distance beyond {first} it changes by {rises[0]:+.3g}, "
            f"beyond {second} by {rises[1]:+.3g}: on this line the valley is "
            f"{flatter}."
        )
    return [*lines, SCALES]


def compared(records, key, adjective):
    """How the extremes of several models compare."""
    values = [record["result"][key] for record in records]
    if len(values) < 2 or min(values) <= 0:
        return []
    low, high = records[np.argmin(values)], records[np.argmax(values)]
    ratio = max(values) / min(values)
    if ratio < 1.05:
        return [f"They are about equally {adjective}."]
    times = f"{ratio:.2g}" if ratio < 100 else f"{ratio:,.0f}"
    return [f"{name(high)} is {times} times as {adjective} as {name(low)}."]


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
        "slope and curvature crossentropy has left. Compare at equal loss to "
        "learn about the shape of the minima."
    ]


def by_setting(records, key):
    """Pairs of a setting's value and its records, in order."""
    groups = {}
    for record in records:
        groups.setdefault(record["settings"][key], []).append(record)
    return list(groups.items())


def name(record):
    return record["models"][0]["name"]


def percent(fraction):
    return f"{100 * fraction:.1f} %"
