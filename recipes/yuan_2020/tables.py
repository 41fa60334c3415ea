"""The tables of the README, made of results."""

import math

from keras_lbreg.comparison.arms import BASELINE
from keras_lbreg.comparison.statistics import Stat
from recipes.study.statistics import finished_runs
from recipes.yuan_2020.arms import ARMS
from recipes.yuan_2020.configuration import (
    BATCH_SIZES,
    BATCHES,
    FIGURES,
    MOMENTA,
    OTHERS,
)
from recipes.yuan_2020.small import (
    DIGITS_BATCH_SIZES,
    DIGITS_BATCHES,
    DIGITS_MOMENTA,
    DIGITS_OTHERS,
    MNIST_BATCH,
)
from recipes.yuan_2020.statistics import (
    beyond_chance,
    mean_gap,
    reached,
)

NOTHING = "–"
CLAIMS = {2: "about 10", 3: "20 to 25", 4: "20 to 25", 5: "20 to 25"}


def markdown(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def paper_batches(study):
    """DReg's mean gap to the baseline in Figs. 2-5, by batch size."""
    rows = []
    for figure, (title, _, _) in FIGURES.items():
        chosen = [c for c in BATCHES if c.part == f"Fig. {figure}"]
        cells = [
            in_brief(study.results(c.name), c, ("dreg", "doubled"))
            for c in chosen
        ]
        rows.append([f"{figure}", title, CLAIMS[figure], *cells])
    header = ["Fig.", "network, data", "paper"]
    return markdown(header + [f"{size}" for size in BATCH_SIZES], rows)


def paper_others(study):
    """Mean gaps to the baseline in Figs. 6-8, or the command that is due."""
    rows = []
    for comparison in (*OTHERS, MNIST_BATCH):
        results = study.results(comparison.name)
        others = [arm for arm in comparison.arms if arm != BASELINE]
        rows.append(
            [
                comparison.part,
                comparison.title,
                in_brief(results, comparison, others)
                if results
                else f"{NOTHING} `{study.command(comparison.name)}`",
            ]
        )
    return markdown(["figure", "what", "gap to the baseline, points"], rows)


def in_brief(results, comparison, arms):
    """Mean gaps of some arms in one cell."""
    if results is None:
        return NOTHING
    epochs = results.manifest["config"]["epochs"]
    short = "" if epochs == comparison.recipe.epochs else f" ({epochs} epochs)"
    titles = {arm["name"]: arm["title"] for arm in results.arms}
    return (
        "; ".join(
            f"{titles[arm]} {points(mean_gap(results, arm))}"
            for arm in arms
            if arm in titles
        )
        + short
    )


def digits_batches(study):
    """Mean gap to the baseline and final accuracy, by batch size."""
    return by_batch(study, gap_and_final)


def digits_gaps_to_control(study):
    """The same to the doubled learning rate."""
    return by_batch(
        study, lambda r, arm: points(mean_gap(r, arm, "doubled")), "doubled"
    )


def digits_epochs(study):
    """Epochs to the baseline's best accuracy, by batch size."""
    return by_batch(study, epochs_needed)


def by_batch(study, cell, reference=BASELINE):
    labels = [f"batch {size}" for size in DIGITS_BATCH_SIZES]
    return matrix(study, DIGITS_BATCHES, labels, cell, reference)


def digits_momenta(study):
    """Mean gap to the baseline, by momentum."""
    labels = [f"momentum {momentum:g}" for momentum in MOMENTA]
    return matrix(study, DIGITS_MOMENTA, labels, gap_and_final)


def matrix(study, comparisons, labels, cell, reference=BASELINE):
    """A row for each arm, a column for each comparison."""
    found = [study.results(comparison.name) for comparison in comparisons]
    titles = {BASELINE: "Large batch"}
    for comparison in comparisons:
        titles |= {arm.name: arm.title for arm in comparison.extra_arms}
    rows = [
        [
            titles[arm],
            *(
                NOTHING if r is None or arm not in r.arm_names else cell(r, arm)
                for r in found
            ),
        ]
        for arm in ARMS
    ]
    if reference not in (None, BASELINE):
        rows = [row for row in rows if row[0] != titles[reference]]
    return markdown(["arm", *labels], rows)


def digits_others(study):
    """Positions of the layer and weights of the penalty, a row for each arm."""
    rows = [row for c in DIGITS_OTHERS for row in arm_rows(study, c)]
    header = [
        "comparison",
        "arm",
        "final, %",
        "gap to the large batch",
        "gap to rate x2",
        "epochs to its best",
        "distance at the end",
    ]
    return markdown(header, rows)


def arm_rows(study, comparison):
    """A row for each arm of one comparison, with all statistics."""
    results = study.results(comparison.name)
    titles = {arm.name: arm.title for arm in comparison.extra_arms}
    rows = []
    for arm in comparison.arms:
        row = [f"`{comparison.name}`", titles.get(arm, "Large batch")]
        if results is None or arm not in results.arm_names:
            rows.append([*row, *[NOTHING] * 5])
            continue
        rows.append(
            [
                *row,
                final(results, arm),
                points(mean_gap(results, arm)),
                points(mean_gap(results, arm, "doubled")),
                epochs_needed(results, arm),
                end_distance(results, arm),
            ]
        )
    return rows


def gap_and_final(results, arm):
    """Both in one cell."""
    return f"{points(mean_gap(results, arm))} / {final(results, arm)}"


def final(results, arm):
    """Mean and deviation of the final accuracy, and how many runs failed."""
    runs = results.runs_of(arm)
    good = finished_runs(results, arm)
    stat = Stat.of(100 * run.final for run in good.values())
    failed = len([run for run in runs if run.status == "failed"])
    text = f"{stat.mean:.1f} ± {stat.std:.1f}" if stat.n else NOTHING
    return text + (f", {failed} failed" if failed else "")


def points(stat):
    """A gap in points of per cent, bold where it is beyond chance."""
    if math.isnan(stat.mean):
        return NOTHING
    text = f"{stat.mean:+.1f}".replace("-", "−")
    if not math.isnan(stat.std):
        text += f" ± {stat.std:.1f}"
    return f"**{text}**" if beyond_chance(stat) else text


def epochs_needed(results, arm):
    """Mean epochs to the baseline's best, and how many runs came there."""
    when = reached(results, arm)
    if not when.runs:
        return NOTHING
    mean = f"{when.epochs.mean:.1f}" if when.count else "never"
    if when.count == when.runs:
        return mean
    return f"{mean} ({when.count} of {when.runs})"


def end_distance(results, arm):
    """Mean distance of the two kernels after the last epoch."""
    # Recorded by the name of the layer, and before that without it.
    ends = [
        value
        for run in finished_runs(results, arm).values()
        for name, value in run.epochs[-1].logs.items()
        if name.startswith("dreg_distance")
    ]
    return f"{Stat.of(ends).mean:.2g}" if ends else NOTHING
