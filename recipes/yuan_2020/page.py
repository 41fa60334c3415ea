"""Yuan et al.'s tables and figures."""

import functools
import itertools
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
    own, others = (
        {s: [e.objective for e in r.epochs] for s, r in runs.items()}
        for runs in (by_seed(results, arm), by_seed(results, other))
    )
    return [
        statistics.fmean(np.subtract(own[seed], others[seed]))
        for seed in sorted(own.keys() & others.keys())
    ]


def gap(results, arm, other=BASELINE):
    """The mean gap in points, or a dash."""
    gaps = mean_gaps(results, arm, other)
    return gain_cell(gaps, 1, count=False) or MISSING


def final(results, arm):
    """The final accuracy in per cent, and how many runs failed."""
    runs = by_seed(results, arm).values()
    text = format_stat(Stat.of(run.final for run in runs), 1, 100)
    failed = [run for run in results.runs_of(arm) if run.status == "failed"]
    return f"{text}, {len(failed)} failed" if failed else text


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


SIZES = [f"batch {c.batch_size}" for c in DIGITS_BATCHES]
matrix = functools.partial(
    arm_matrix, comparisons=DIGITS_BATCHES, heads=SIZES, arms=TITLES
)
digits_momenta = functools.partial(
    arm_matrix,
    comparisons=DIGITS_MOMENTA,
    heads=[f"momentum {momentum:g}" for momentum in MOMENTA],
    arms=TITLES,
    cell=gap_and_final,
)
digits_gaps_to_control = functools.partial(
    matrix,
    arms={k: v for k, v in TITLES.items() if k != DOUBLED.name},
    cell=functools.partial(gap, other=DOUBLED.name),
)


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
    for comparison, results in paper.recorded(DIGITS_OTHERS):
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
    rows = []
    for case in cases:
        found = [largest_rate(n, FIRST_DISTANCE, *case) for n in steps]
        rows.append([f"{x:g}" for x in case] + [f"{x:.2g}" for x in found])
    heads = [
        f"batch {size} ({count:,} steps)"
        for size, count in zip(sizes, steps, strict=True)
    ]
    return markdown_table(("λ", "momentum", *heads), rows)


def runs_of(paper, setting):
    """The runs of one setting of the measurement of stability."""
    runs = paper.measured("stability")["measured"]["runs"]
    return [run for run in runs if run["setting"] == setting.label]


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
    kept = zip(run["step"], run["distance"], strict=True)
    late = (pair for pair in kept if pair[0] >= 20)
    free = list(itertools.takewhile(lambda pair: pair[1] <= limit, late))
    if len(free) < 2:
        return None
    (start, first), (end, last) = free[0], free[-1]
    return (last / first) ** (1 / (end - start))


def stability_table(paper):
    """Predicted and measured growth of every setting."""
    rows = []
    for setting in SETTINGS:
        runs = runs_of(paper, setting)
        weight = setting.weight / (runs[0]["size"] if setting.is_ratio else 1)
        law = weight, setting.learning_rate, setting.momentum
        predicted, until = f"{growth_factor(*law):.4f}", "never"
        if setting.is_ratio:
            predicted += " at first"
        elif setting.max_distance is not None:
            predicted += ", from the cap on 1"
        else:
            first = runs[0]["distance"][0]
            until = f"{steps_until(LARGEST_DISTANCE, first, *law)}"
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
    for *case, epochs in LAGGING:
        found = [r for r in runs if [r["weight"], r["batch_size"]] == case]
        ratio, before, after = (
            Stat.of(run[name] for run in found)
            for name in ("ratio", "accuracy", "accuracy_afterwards")
        )
        shares = [format_stat(stat, 1, 100) for stat in (before, after)]
        ratios = f"{found[0]['predicted']:.3f}", format_stat(ratio, 3)
        setting = [f"{number:g}" for number in (*case, epochs)]
        rows.append((*setting, *ratios, *shares))
    head = ("λ", "batch", "epochs", "moving by true variance, predicted")
    head += ("measured", "accuracy, %", "after the statistics caught up, %")
    return markdown_table(head, rows)


def stability_figure(paper):
    """The distances by step, measured and predicted, on a log axis."""

    def panel(title, settings):
        def draw(axis):
            for color, setting in zip(PALETTE, settings, strict=False):
                draw_setting(axis, setting, runs_of(paper, setting), color)
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
        look = {"color": color, "label": None if number else setting.label}
        axis.plot(run["step"], run["distance"], lw=1.4, **look)
        if run["exploded"]:
            end = run["step"][-1], run["distance"][-1]
            axis.plot(*end, "x", color=color, ms=8)
    if setting.distance == "frobenius" and setting.max_distance is None:
        law = setting.weight, setting.learning_rate, setting.momentum
        ends = runs[0]["distance"][0], runs[0]["step"][-1]
        predicted = predicted_distances(*ends, *law)
        axis.plot(predicted, color=INK, linestyle=":", linewidth=1.0)


def kernels_figure(paper):
    """Distance and cosine of the kernels by step, at scale."""
    if paper.measured("kernels") is None:
        return None
    runs = paper.measured("kernels")["measured"]["runs"]
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
        "digits_batches": functools.partial(matrix, cell=gap_and_final),
        "digits_gaps_to_control": digits_gaps_to_control,
        "digits_epochs": functools.partial(matrix, cell=epochs_needed),
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
