"""Yuan et al.'s tables and figures."""

import math
import pathlib
import statistics

import numpy as np

from keras_lbreg.comparison.statistics import Stat, first_reaching
from keras_lbreg.comparison.table import format_stat
from keras_lbreg.formatting import MISSING, markdown_table
from keras_lbreg.plot_style import INK, PALETTE
from recipes.figures import accuracy_figure, figure_of
from recipes.paper import Measurement, Paper
from recipes.tables import (
    arm_matrix,
    by_seed,
    failures,
    gain_cell,
    not_run,
    runs_table,
)
from recipes.yuan_2020.configuration import (
    BASELINE,
    BATCH_SIZES,
    DIGITS_BATCHES,
    DIGITS_MOMENTA,
    DIGITS_OTHERS,
    DOUBLED,
    MOMENTA,
    PUBLISHED,
    SCALE,
    SCALED,
    SCALED_X2,
    all_arms,
)
from recipes.yuan_2020.growth import (
    LARGEST_DISTANCE,
    growth_factor,
    largest_rate,
    predicted_distances,
    steps_until,
)
from recipes.yuan_2020.kernels import (
    LAGGING,
    SETTINGS,
    measure_lagging,
    measure_scale,
    measure_stability,
)

TITLES = {BASELINE: "Large batch"}
TITLES |= {arm.name: arm.title for arm in all_arms()[1:]}


def mean_gaps(results, arm, other=BASELINE):
    """Accuracy minus another arm's, averaged over the epochs, by seed.

    Reference: section 4 of https://arxiv.org/abs/2011.08968 reports it.
    """
    own, others = by_seed(results, arm), by_seed(results, other)
    gaps = []
    for seed in sorted(own.keys() & others.keys()):
        theirs = {e.epoch: e.objective for e in others[seed].epochs}
        gaps.append(
            statistics.fmean(
                e.objective - theirs[e.epoch]
                for e in own[seed].epochs
                if e.epoch in theirs
            )
        )
    return gaps


def gap(results, arm, other=BASELINE):
    """The mean gap in points, or a dash."""
    text = gain_cell(mean_gaps(results, arm, other), 1, count=False)
    return text or MISSING


def final(results, arm):
    """The final accuracy in per cent, and how many runs failed."""
    runs = by_seed(results, arm).values()
    text = format_stat(Stat.of(run.final for run in runs), 1, 100)
    return text + failures(results, arm)


def gap_and_final(results, arm):
    return f"{gap(results, arm)} / {final(results, arm)}"


def epochs_needed(results, arm, other=BASELINE):
    """Mean epochs to another arm's best of the seed, and how many got there.

    Reference: section 4 of https://arxiv.org/abs/2011.08968 reports it.
    """
    own, others = by_seed(results, arm), by_seed(results, other)
    seeds = own.keys() & others.keys()
    if not seeds:
        return MISSING
    found = [first_reaching(results, own[s], others[s].best) for s in seeds]
    epochs = [record.epoch for record in found if record is not None]
    mean = f"{statistics.fmean(epochs):.1f}" if epochs else "never"
    some = f" ({len(epochs)} of {len(seeds)})"
    return mean if len(epochs) == len(seeds) else mean + some


def end_distance(results, arm):
    """Mean distance of the two kernels after the last epoch."""
    # Recorded by the name of the layer, and before that without it.
    ends = [
        value
        for run in by_seed(results, arm).values()
        for name, value in run.epochs[-1].logs.items()
        if name.startswith("dreg_distance")
    ]
    return f"{statistics.fmean(ends):.2g}" if ends else MISSING


def digits_matrix(cell, leave_out=()):
    """The function that makes a table of arms by batch."""
    titles = {k: v for k, v in TITLES.items() if k not in leave_out}
    sizes = [f"batch {c.batch_size}" for c in DIGITS_BATCHES]
    return lambda paper: arm_matrix(paper, DIGITS_BATCHES, sizes, titles, cell)


def gap_to_doubled(results, arm):
    return gap(results, arm, DOUBLED.name)


def digits_momenta(paper):
    """Mean gap to the large batch, by momentum."""
    heads = [f"momentum {momentum:g}" for momentum in MOMENTA]
    return arm_matrix(paper, DIGITS_MOMENTA, heads, TITLES, gap_and_final)


def arm_rows(results, baseline, control):
    """A row for each arm of one comparison, with all statistics."""
    return [
        (
            arm["title"],
            final(results, arm["name"]),
            gap(results, arm["name"], baseline),
            gap(results, arm["name"], control),
            epochs_needed(results, arm["name"], baseline),
            end_distance(results, arm["name"]),
        )
        for arm in results.arms
    ]


def digits_others(paper):
    """Positions of the layer and weights of the penalty, a row for each arm."""
    rows = []
    for comparison in DIGITS_OTHERS:
        results = paper.results(comparison.name)
        if results is not None:
            found = arm_rows(results, BASELINE, DOUBLED.name)
            rows += [(f"`{comparison.name}`", *row) for row in found]
    head = ("comparison", "arm", "final, %", "gap to the large batch")
    head += ("gap to rate x2", "epochs to its best", "distance at the end")
    return markdown_table(head, rows)


def scale_table(paper):
    """All arms at scale, beside the rule with warm-up and its double."""
    results = paper.results(SCALE.name)
    rows = arm_rows(results, SCALED, SCALED_X2) if results else []
    head = ("arm", "final, %", "gap to LR + warm-up", "gap to its double")
    head += ("epochs to LR + warm-up's best", "distance at the end")
    return markdown_table(head, rows) + not_run(paper, [SCALE])


# A hundredth of the norm of VGG16's last convolution at the start:
# sqrt(3 * 3 * 512 * 512 * 2 / (3 * 3 * 512)) = 32.
FIRST_DISTANCE = 0.32


def survival(paper):
    """Largest learning rate by λ, momentum and batch, over 350 epochs."""
    sizes = (BATCH_SIZES[0], BATCH_SIZES[1], BATCH_SIZES[-1])
    steps = [350 * (50_000 // size) for size in sizes]
    cases = ((0.1, 0.9), (0.01, 0.9), (1.0, 0.9), (0.1, 0.0))
    rates = [
        [largest_rate(n, FIRST_DISTANCE, weight, momentum) for n in steps]
        for weight, momentum in cases
    ]
    heads = [
        f"batch {size} ({count:,} steps)"
        for size, count in zip(sizes, steps, strict=True)
    ]
    rows = [
        (*(f"{x:g}" for x in case), *(f"{rate:.2g}" for rate in found))
        for case, found in zip(cases, rates, strict=True)
    ]
    return markdown_table(("λ", "momentum", *heads), rows)


def runs_of(content, setting):
    """The runs of one setting of the measurement of stability."""
    runs = content["measured"]["runs"]
    return [run for run in runs if run["setting"] == setting.label]


def effective_weight(setting, run):
    """λ, for the bare ratio divided by ‖W_R‖² + ‖W_L‖²."""
    return setting.weight / (run["size"] if setting.is_ratio else 1)


def measured_growth(setting, run):
    """What a step multiplied the distance by, while it was free to grow.

    From step 20 on, when momentum is in full swing, to the last finite step;
    under a cap while the distance is below it; for the bare ratio while it is
    below half of the kernels' size at the start. `None` where fewer than two
    kept steps are left.
    """
    limit = setting.max_distance or LARGEST_DISTANCE
    if setting.is_ratio:
        limit = math.sqrt(run["size"]) / 2
    free = []
    for step, distance in zip(run["step"], run["distance"], strict=True):
        if step >= 20 and distance > limit:
            break
        if step >= 20:
            free.append((step, distance))
    if len(free) < 2:
        return None
    (start, first), (end, last) = free[0], free[-1]
    return (last / first) ** (1 / (end - start))


def stability_table(paper):
    """Predicted and measured growth of every setting."""
    content = paper.measured("stability")
    rows = []
    for setting in SETTINGS:
        runs = runs_of(content, setting)
        weight = effective_weight(setting, runs[0])
        rate, momentum = setting.learning_rate, setting.momentum
        predicted = f"{growth_factor(weight, rate, momentum):.4f}"
        until = "never"
        if setting.is_ratio:
            predicted += " at first"
        elif setting.max_distance is not None:
            predicted += ", from the cap on 1"
        else:
            first = runs[0]["distance"][0]
            laws = weight, rate, momentum
            until = f"{steps_until(LARGEST_DISTANCE, first, *laws)}"
        growth = [g for run in runs if (g := measured_growth(setting, run))]
        exploded = sorted(run["exploded"] for run in runs if run["exploded"])
        steps = max(run["step"][-1] for run in runs)
        rows.append(
            (
                setting.label,
                predicted,
                f"{statistics.fmean(growth):.4f}" if growth else MISSING,
                distance_text(runs, 100),
                distance_text(runs, steps),
                until,
                ", ".join(map(str, exploded)) or f"not within {steps}",
            )
        )
    head = ("distance, λ, η, m", "growth a step, predicted", "measured")
    head += ("after 100 steps", "at the end")
    head += ("infinite at step, predicted", "measured")
    return markdown_table(head, rows)


def distance_text(runs, step):
    """Median distance after a step, over the runs that got there."""
    values = [
        run["distance"][run["step"].index(step)]
        for run in runs
        if step in run["step"]
    ]
    return f"{statistics.median(values):.2g}" if values else MISSING


def lagging_table(paper):
    """Accuracy with the moving statistics and with true ones."""
    runs = paper.measured("lagging")["measured"]["runs"]
    rows = []
    for weight, batch_size, epochs in LAGGING:
        case = (weight, batch_size)
        found = [r for r in runs if (r["weight"], r["batch_size"]) == case]
        ratio, before, after = (
            Stat.of(run[name] for run in found)
            for name in ("ratio", "accuracy", "accuracy_afterwards")
        )
        rows.append(
            (
                f"{weight:g}",
                f"{batch_size}",
                f"{epochs}",
                f"{found[0]['predicted']:.3f}",
                format_stat(ratio, 3),
                format_stat(before, 1, 100),
                format_stat(after, 1, 100),
            )
        )
    head = ("λ", "batch", "epochs", "moving by true variance, predicted")
    head += ("measured", "accuracy, %", "after the statistics caught up, %")
    return markdown_table(head, rows)


def stability_figure(paper):
    """The distances by step, measured and predicted, on a log axis."""
    content = paper.measured("stability")

    def panel(title, settings):
        def draw(axis):
            for color, setting in zip(PALETTE, settings, strict=False):
                draw_setting(axis, setting, runs_of(content, setting), color)
            axis.axhline(LARGEST_DISTANCE, color=INK, linewidth=0.8)
            axis.set(xlabel="step", ylabel="‖W_R − W_L‖", yscale="log")
            axis.set_ylim(1e-2, 1e21)

        return title, draw

    panels = [
        panel("λ = η = .1, no momentum", SETTINGS[:4]),
        panel("λ = η = .1, momentum .9", SETTINGS[4:8]),
        panel("other λ and η, momentum .9", SETTINGS[8:]),
    ]
    setting = (
        "Digits (ours, small), batch 128: distance, λ, η, m\n"
        "dotted: predicted; cross: the loss is no longer finite; line: the "
        "penalty is infinite"
    )
    return figure_of(panels, setting, sharey=True)


def draw_setting(axis, setting, runs, color):
    """The runs of one setting, what was predicted, and where they ended."""
    for number, run in enumerate(runs):
        label = None if number else setting.label
        axis.plot(
            run["step"], run["distance"], color=color, lw=1.4, label=label
        )
        if run["exploded"]:
            end = run["step"][-1], run["distance"][-1]
            axis.plot(*end, "x", color=color, ms=8)
    if setting.distance == "frobenius" and setting.max_distance is None:
        predicted = predicted_distances(
            runs[0]["distance"][0],
            runs[0]["step"][-1],
            setting.weight,
            setting.learning_rate,
            setting.momentum,
        )
        axis.plot(predicted, color=INK, linestyle=":", linewidth=1.0)


def kernels_figure(paper):
    """Distance and cosine of the kernels by step, at scale."""
    content = paper.measured("kernels")
    if content is None:
        return None
    runs = content["measured"]["runs"]
    arms = dict.fromkeys(run["arm"] for run in runs)
    colors = dict(zip(arms, np.resize(PALETTE, len(arms)), strict=True))

    def panel(what, scale):
        def draw(axis):
            for run in runs:
                label = run["title"] if run["seed"] == 0 else None
                look = {"color": colors[run["arm"]], "label": label}
                axis.plot(run["step"], run[what], lw=1.4, **look)
            axis.set(xlabel="step", ylabel=what, yscale=scale)

        return f"{what.capitalize()} of the two kernels", draw

    panels = [panel("distance", "log"), panel("cosine", "linear")]
    return figure_of(panels, SCALE.title)


PAPER = Paper(
    name="yuan_2020",
    title="Yuan, Hua, Zhou, Yu 2020, Contrastive weight regularization (DReg)",
    folder=pathlib.Path(__file__).parent,
    comparisons=(
        SCALE,
        *DIGITS_BATCHES,
        *DIGITS_OTHERS,
        *DIGITS_MOMENTA,
        *PUBLISHED,
    ),
    measurements=(
        Measurement(
            "stability",
            "distance of the two kernels, step by step, digits (ours, small)",
            measure_stability,
        ),
        Measurement(
            "lagging",
            "moving statistics behind growing kernels, digits (ours, small)",
            measure_lagging,
        ),
        Measurement(
            "kernels",
            f"distance and cosine by step, {SCALE.title}",
            measure_scale,
        ),
    ),
    tables={
        "scale": scale_table,
        "digits_batches": digits_matrix(gap_and_final),
        "digits_gaps_to_control": digits_matrix(
            gap_to_doubled, leave_out=(DOUBLED.name,)
        ),
        "digits_epochs": digits_matrix(epochs_needed),
        "digits_others": digits_others,
        "digits_momenta": digits_momenta,
        "survival": survival,
        "stability": stability_table,
        "lagging": lagging_table,
        "runs": runs_table,
    },
    figures={
        "scale.png": accuracy_figure([SCALE]),
        "kernels.png": kernels_figure,
        "digits_batches.png": accuracy_figure(DIGITS_BATCHES, 0),
        "digits_others.png": accuracy_figure(DIGITS_OTHERS, 0),
        "digits_momenta.png": accuracy_figure(DIGITS_MOMENTA, 0),
        "stability.png": stability_figure,
    },
)
