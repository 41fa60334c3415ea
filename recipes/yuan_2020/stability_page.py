"""Figure and table of the distance of the two kernels, step by step."""

import math
import statistics

from keras_lbreg.plot_style import (
    INK,
    PALETTE,
    new_figure,
    plot_style,
)
from recipes.yuan_2020.growth import (
    LARGEST_DISTANCE,
    growth_factor,
    predicted_distances,
    steps_until,
)
from recipes.yuan_2020.stability import SETTINGS
from recipes.yuan_2020.tables import NOTHING, markdown

# Momentum is in full swing by then.
FIRST_STEP = 20


def stability_table(study):
    """Predicted and measured growth of every setting."""
    content = study.measured("stability")
    rows = []
    for setting in SETTINGS:
        runs = runs_of(content, setting)
        cells = cells_of(setting, runs) if runs else [NOTHING] * 6
        rows.append([label(setting), *cells])
    header = [
        "distance, λ, η, m",
        "growth a step, predicted",
        "measured",
        "after 100 steps",
        "at the end",
        "infinite at step, predicted",
        "measured",
    ]
    return markdown(header, rows)


def runs_of(content, setting):
    """The runs of one setting."""
    if content is None:
        return []
    return [
        run
        for run in content["measured"]["runs"]
        if run["name"] == setting.name
    ]


def cells_of(setting, runs):
    """Growth and distances of a setting, over its seeds."""
    weight = effective_weight(setting, runs[0])
    predicted = growth_factor(weight, setting.learning_rate, setting.momentum)
    measured = [measured_growth(setting, run) for run in runs]
    known = [growth for growth in measured if growth is not None]
    if setting.distance == "relative":
        bound, predicted = "never", f"{predicted:.4f} at first"
    elif setting.max_distance is not None:
        bound, predicted = "never", f"{predicted:.4f}, from the cap on 1"
    else:
        bound = steps_until(
            LARGEST_DISTANCE,
            runs[0]["distance"][0],
            weight,
            setting.learning_rate,
            setting.momentum,
        )
        bound, predicted = f"{bound}", f"{predicted:.4f}"
    exploded = sorted(run["exploded"] for run in runs if run["exploded"])
    steps = max(run["step"][-1] for run in runs)
    if exploded:
        beyond = ", ".join(map(str, exploded))
    else:
        beyond = f"not within {steps}"
    return [
        predicted,
        f"{statistics.fmean(known):.4f}" if known else NOTHING,
        distance_text(runs, 100),
        distance_text(runs, steps),
        bound,
        beyond,
    ]


def distance_text(runs, step):
    """Median distance after a step, over the runs that got there."""
    values = [
        run["distance"][run["step"].index(step)]
        for run in runs
        if step in run["step"]
    ]
    return f"{statistics.median(values):.2g}" if values else NOTHING


def effective_weight(setting, run):
    """λ, for the relative distance divided by ‖W_R‖² + ‖W_L‖²."""
    if setting.distance == "relative":
        return setting.weight / run["size"]
    return setting.weight


def measured_growth(setting, run):
    """What a step multiplied the distance by, while it was free to grow.

    From step 20 on, to the last finite step; under a cap while the distance is
    below it; for the relative distance while the kernels are close, which is
    to say below half of their size at the start.

    Args:
        setting: The `Setting`.
        run: What `trace` returned.

    Returns:
        A float, or None where fewer than two kept steps are left.

    Example:

    >>> measured_growth(setting, trace(setting, seed=0, steps=300))

    Reference: `growth_factor` predicts it.
    """
    limit = LARGEST_DISTANCE
    if setting.max_distance is not None:
        limit = setting.max_distance
    elif setting.distance == "relative":
        limit = math.sqrt(run["size"]) / 2
    free = []
    for step, distance in zip(run["step"], run["distance"], strict=True):
        if step >= FIRST_STEP and distance > limit:
            break
        if step >= FIRST_STEP:
            free.append((step, distance))
    if len(free) < 2:
        return None
    (start, first), (end, last) = free[0], free[-1]
    return (last / first) ** (1 / (end - start))


def label(setting):
    """The setting in a few characters."""
    cap = setting.max_distance
    cap = "" if cap is None else f", cap {cap:g}"
    return (
        f"{setting.distance}{cap}, {setting.weight:g}, "
        f"{setting.learning_rate:g}, {setting.momentum:g}"
    )


def stability_figure(study):
    """The distances by step, measured and predicted, on a log axis.

    Args:
        study: The `Study`.

    Returns:
        A `matplotlib.figure.Figure`, or None where nothing was measured.

    Example:

    >>> stability_figure(STUDY)

    Reference: `growth_factor`.
    """
    content = study.measured("stability")
    if content is None:
        return None
    panels = (
        ("λ = η = .1, no momentum", [s for s in SETTINGS if not s.momentum]),
        (
            "λ = η = .1, momentum .9",
            [s for s in SETTINGS[:8] if s.momentum],
        ),
        ("other λ and η, momentum .9", SETTINGS[8:]),
    )
    with plot_style():
        figure = new_figure(13.5, 5.4)
        axes = figure.subplots(1, len(panels), sharey=True)
        for axis, (title, settings) in zip(axes, panels, strict=True):
            for color, setting in zip(PALETTE, settings, strict=False):
                draw(axis, setting, runs_of(content, setting), color)
            axis.set(title=title, xlabel="step", yscale="log")
            axis.axhline(LARGEST_DISTANCE, color=INK, linewidth=0.8)
            axis.set_ylim(1e-2, 1e21)
            axis.legend(
                title="distance, λ, η, m",
                alignment="left",
                loc="upper left",
                bbox_to_anchor=(-0.02, -0.13),
                fontsize=9,
            )
        axes[0].annotate(
            "the penalty is infinite in float32",
            (0.98, LARGEST_DISTANCE),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
        )
        axes[0].set_ylabel("‖W_R − W_L‖")
        figure.suptitle(
            f"Digits (ours, small), batch {content['measured']['batch_size']}; "
            "dotted: predicted; cross: the loss is no longer finite",
            x=0.01,
            ha="left",
            fontsize=11,
        )
    return figure


def draw(axis, setting, runs, color):
    """The runs of one setting, what was predicted, and where they ended."""
    for index, run in enumerate(runs):
        axis.plot(
            run["step"],
            run["distance"],
            color=color,
            linewidth=1.4,
            label=label(setting) if index == 0 else None,
        )
        if run["exploded"]:
            axis.plot(
                run["step"][-1], run["distance"][-1], "x", color=color, ms=8
            )
    if setting.distance == "frobenius" and setting.max_distance is None:
        predicted = predicted_distances(
            runs[0]["distance"][0],
            runs[0]["step"][-1],
            setting.weight,
            setting.learning_rate,
            setting.momentum,
        )
        axis.plot(predicted, color=INK, linestyle=":", linewidth=1.0)
