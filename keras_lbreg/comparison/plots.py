"""The plots of a comparison: curves, colours, and what each shows."""

import dataclasses
import math
import textwrap

import numpy as np

from keras_lbreg.comparison.arms import BASELINE, REFERENCE, SCALING
from keras_lbreg.comparison.statistics import arm_statistics, objective_words
from keras_lbreg.plot_style import (
    GREY,
    INK,
    PALETTE,
    PANEL_HEIGHT,
    Panel,
    Plot,
    above_axis,
    log_axis,
)

BLUE, ORANGE, GREEN, RED, PINK, SKY, BROWN, VIOLET = PALETTE

# By name, so that an arm looks alike beside whatever others. An arm with
# warm-up has the colour of the one without, dashed.
COLORS = {
    REFERENCE: (INK, "-"),
    BASELINE: (GREY, "-"),
    SCALING: (BLUE, "-"),
    "lr_doubled": (BLUE, ":"),
    "lr_betas": (BLUE, "-."),
    "lr_ema": (BLUE, (0, (6, 2, 1, 2, 1, 2))),
    "lr_gbn": (ORANGE, "-"),
    "lr_gbn_mean": (ORANGE, ":"),
    "lr_gbn_ra": (GREEN, "-"),
    "lr_noise": (RED, "-"),
    "lr_dreg": (PINK, "-"),
    "lr_mix": (SKY, "-"),
    "lr_group_noise": (BROWN, "-"),
    "all": (VIOLET, "-"),
    "tuned": (VIOLET, "--"),
}
OTHERS = ("#44AA99", "#AA4499", "#B8A000", "#C0504D")
WARM_UP = "_warmup"

# Numbers of a record whose means a curve has.
MEANS = (
    "updates",
    "time",
    "learning_rate",
    "loss",
    "val_loss",
    "weight_distance",
)

# More arms than these are shown in two panels.
MOST_IN_A_PANEL = 6

# Characters of a legend's line.
LEGEND = 50

# Shares of the gap in per cent that a figure shows: an arm that diverged would
# leave the others no room.
SHOWN = (-120, 300)


def arm_colors(arms):
    """`(color, line style)` by arm name; those without get one of `OTHERS`."""
    colors, others = {}, 0
    for name in (arm["name"] for arm in arms):
        plain = name.replace(WARM_UP, "")
        if name in COLORS:
            colors[name] = COLORS[name]
        elif plain in COLORS:
            colors[name] = (COLORS[plain][0], "--")
        else:
            dashes = ("-.", ":")[others // len(OTHERS) % 2]
            colors[name] = (OTHERS[others % len(OTHERS)], dashes)
            others += 1
    return colors


@dataclasses.dataclass(frozen=True)
class Curve:
    """One arm's course, averaged over seeds; arrays over its epochs.

    `objective` and its `spread`, the sample deviation (0 of one seed), are in
    per cent where they are shares. What is unknown is `nan`.
    """

    name: str
    title: str
    color: str
    dashes: str
    epoch: np.ndarray
    objective: np.ndarray
    spread: np.ndarray
    updates: np.ndarray
    time: np.ndarray
    learning_rate: np.ndarray
    loss: np.ndarray
    val_loss: np.ndarray
    weight_distance: np.ndarray


def mean_curves(results):
    """The `Curve` of every arm that has something to show.

    Finished runs are averaged. An arm without one shows what its unfinished
    runs have in common, so that a report made mid-run has curves already.
    Failed and damaged runs are left out: their epochs are not a result.
    """
    colors = arm_colors(results.arms)
    curves = []
    for arm in results.arms:
        name, title = arm["name"], arm["title"]
        runs = [run for run in results.runs_of(name) if run.epochs]
        chosen = [run for run in runs if run.status == "finished"]
        chosen = chosen or [run for run in runs if run.status == "running"]
        by_epoch = [
            {r.epoch: r for r in run.epochs if math.isfinite(r.objective)}
            for run in chosen
        ]
        common = sorted(set.intersection(*map(set, by_epoch))) if chosen else ()
        if not common:
            continue
        table = [[run[epoch] for epoch in common] for run in by_epoch]
        objective = numbers(table, "objective")
        objective = (100 if results.is_share else 1) * objective
        curves.append(
            Curve(
                name,
                title,
                *colors[name],
                np.array(common),
                objective.mean(axis=0),
                objective.std(axis=0, ddof=min(1, len(table) - 1)),
                **{name: numbers(table, name).mean(axis=0) for name in MEANS},
            )
        )
    return curves


def numbers(table, name):
    """A number of the records of a table, which has a row for each run."""
    rows = [[{**r.logs, **vars(r)}.get(name) for r in row] for row in table]
    return np.array(rows, "float64")


def make_plots(results):
    """The `Plot`s for which `results` holds enough; its runs may go on."""
    curves = mean_curves(results)
    if not curves:
        return []
    config, workload = (results.manifest[k] for k in ("config", "workload"))
    seeds = len(results.manifest["seeds"])
    setting = (
        f"{workload['title'] or workload['name']}: small batch "
        f"{config['small_batch_size']:,}, large batch "
        f"{config['batch_size']:,}, "
        + (f"mean of {seeds} seeds" if seeds > 1 else "one seed")
    )
    words = objective_words(results).replace("val_", "validation ")
    words = words[:1].upper() + words[1:]
    by_epoch = objective_panels(results, curves, "epoch", "epoch")
    by_time = objective_panels(results, curves, "time", "seconds of training")
    plots = [
        ("objective_by_epoch", f"{words} by epoch", by_epoch),
        ("objective_by_time", f"{words} by training time", by_time),
        ("loss", "Training and validation loss", loss_panels(curves)),
        ("learning_rate", "Learning rate", rate_panels(curves)),
        ("gap_closed", "Share of the gap closed", gap_panels(results)),
        (
            "weight_distance",
            "How far the weights travel",
            distance_panels(results, curves),
        ),
    ]
    return [
        Plot(name, title, tuple(panels), setting)
        for name, title, panels in plots
        if panels
    ]


def arm_groups(results, curves):
    """Pairs of a panel's title and its curves.

    Few arms share one panel. Many are shown in two: the techniques added one
    after another, as in the columns of Hoffer et al., and all other arms.
    Both have the small batch, the large batch and learning-rate scaling,
    against which the others are judged.
    """
    groups = {arm["name"]: arm["group"] for arm in results.arms}
    ends = (REFERENCE, BASELINE, SCALING)
    added = [
        c for c in curves if c.name in ends or groups[c.name] == "cumulative"
    ]
    others = [c for c in curves if c.name in ends or c not in added]
    whole = max(len(added), len(others)) == len(curves)
    if len(curves) <= MOST_IN_A_PANEL or whole:
        return [("", curves)]
    return [("Added one after another", added), ("The other arms", others)]


def course_panel(title, curves, x, y, sign=1, number=None, **settings):
    """A panel with the course of each curve's field `y`.

    The legend has the best final value first: the largest where `sign` is 1.
    With the format `number`, that value stands before the name.
    """

    def draw(axis):
        for curve in curves:
            draw_course(axis, curve, x, y, number)
        ends = [getattr(curve, x)[-1] for curve in curves]
        if x == "updates" or max(ends) > 3 * min(ends):
            log_axis(axis)
        elif x == "epoch":
            axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set(**settings)
        low, high = axis.dataLim.intervaly
        if y == "learning_rate" and high > 10 * low > 0:
            log_axis(axis, "y")
        legend(axis, sign)

    height = PANEL_HEIGHT + 0.21 * math.ceil(len(curves) / 2)
    return Panel(title, draw, height)


def draw_course(axis, curve, x, y, number):
    span, values = getattr(curve, x), getattr(curve, y)
    label = f"{values[-1]:{number}}  {curve.title}" if number else curve.title
    style = {"color": curve.color, "linestyle": curve.dashes, "label": label}
    if y == "learning_rate":
        style["drawstyle"] = "steps-post"
    # A single epoch makes no line.
    axis.plot(span, values, marker="o" if len(span) == 1 else None, **style)
    if y == "objective":
        low, high = values - curve.spread, values + curve.spread
        axis.fill_between(span, low, high, color=curve.color, alpha=0.1, lw=0)
        if curve.name == REFERENCE:
            style = {"color": INK, "linestyle": (0, (5, 4)), "linewidth": 1.0}
            axis.axhline(values[-1], **style)


def objective_panels(results, curves, x, xlabel):
    name = results.objective.removeprefix("val_").replace("_", " ")
    unit = ", %" if results.is_share else ""
    settings = {
        "number": ".1f" if results.is_share else ".3g",
        "xlabel": xlabel,
        "ylabel": f"validation {name}{unit}",
        "ylim": zoom(curves, ["objective"], results.sign),
    }
    return [
        course_panel(*group, x, "objective", results.sign, **settings)
        for group in arm_groups(results, curves)
    ]


def loss_panels(curves):
    """Training and validation loss, on axes of the same limits."""
    fields = {"Training": "loss", "Validation": "val_loss"}
    settings = {
        "number": ".3g",
        "xlabel": "epoch",
        "ylabel": "loss",
        "ylim": zoom(curves, fields.values(), sign=-1),
    }
    return [
        course_panel(title, shown, "epoch", field, sign=-1, **settings)
        for title, field in fields.items()
        if (shown := known(curves, field))
    ]


def rate_panels(curves):
    """The learning rates; arms with one course of it share a line."""
    shared = {}
    for curve in curves:
        course = (tuple(curve.epoch), tuple(np.round(curve.learning_rate, 12)))
        shared.setdefault(course, []).append(curve)
    lines = []
    for first, *more in shared.values():
        title = first.title + (f" and {len(more)} more" if more else "")
        lines.append(dataclasses.replace(first, title=title))
    labels = {"xlabel": "epoch", "ylabel": "learning rate"}
    return [course_panel("", lines, "epoch", "learning_rate", **labels)]


def distance_panels(results, curves):
    """How far the weights have travelled, against updates.

    Hoffer et al. see a random walk on a random potential: the distance grows
    as the logarithm of the number of updates, a straight line here.
    """
    settings = {
        "xlabel": "updates",
        "ylabel": "distance from the start, ‖w − w₀‖",
    }
    shown = known(curves, "weight_distance")
    return [
        course_panel(*group, "updates", "weight_distance", **settings)
        for group in arm_groups(results, shown)
        if shown
    ]


def known(curves, field):
    """The curves of which a field is not `nan` everywhere."""
    return [c for c in curves if np.isfinite(getattr(c, field)).any()]


def zoom(curves, fields, sign):
    """Limits that show the final differences, not the first epochs."""
    courses = [
        sign * values[np.isfinite(values)]
        for field in fields
        for values in (getattr(curve, field) for curve in known(curves, field))
    ]
    if not courses:
        return None
    top, low = max(map(np.max, courses)), min(map(np.min, courses))
    middle = np.median([course[-1] for course in courses])
    height = max(6 * (top - middle), 0.03 * abs(top))
    height = min(height, top - low) or 0.1 * abs(top) or 1.0
    ends = (sign * (top - 1.05 * height), sign * (top + 0.05 * height))
    return tuple(sorted(ends))


def gap_closed_rows(results):
    """The `ArmStatistics` of the arms that close some share of a gap."""
    return [
        row
        for row in arm_statistics(results)
        if row.arm not in (REFERENCE, BASELINE)
        and math.isfinite(row.closed.mean)
    ]


def gap_panels(results):
    rows, colors = gap_closed_rows(results), arm_colors(results.arms)
    shares = [100 * row.closed.mean for row in rows]

    def draw(axis):
        axis.grid(False)
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        for place, text in ((0, "large batch"), (100, "small batch")):
            axis.axvline(place, color=INK, linewidth=1.0, zorder=0)
            above_axis(axis, place, text, 4, ha="center", fontsize=10)
        for place, (row, share) in enumerate(zip(rows, shares, strict=True)):
            alpha = 0.55 if row.group == "control" else 1.0
            axis.barh(place, share, 0.62, color=colors[row.arm][0], alpha=alpha)
            if row.closed.std >= 0:
                style = {"color": INK, "capsize": 3, "elinewidth": 1.2}
                axis.errorbar(share, place, xerr=100 * row.closed.std, **style)
        labels = [
            f"{textwrap.shorten(row.title, 26)}  {share:.0f} %"
            for row, share in zip(rows, shares, strict=True)
        ]
        axis.set_yticks(range(len(rows)), labels)
        axis.invert_yaxis()
        axis.margins(x=0.08)
        left, right = axis.get_xlim()
        low, high = max(left, SHOWN[0]), min(right, SHOWN[1])
        # Room for the words at both ends.
        axis.set_xlim(min(low, -25), max(high, 125))
        label = "share of the gap closed, %"
        if left < low or right > high:
            label += "\n(long bars are cut off, their numbers are not)"
        axis.set_xlabel(label)

    return [Panel("", draw, 1.1 + 0.38 * len(rows))] if rows else []


def legend(axis, sign):
    """Adds the legend under the axis, the best final value first."""
    lines = zip(*axis.get_legend_handles_labels(), strict=True)
    lines = sorted(lines, key=lambda line: -sign * line[0].get_ydata()[-1])
    columns = 2 if len(lines) > 3 else 1
    axis.legend(
        [handle for handle, _ in lines],
        [textwrap.fill(label, LEGEND // columns) for _, label in lines],
        fontsize=9 if columns > 1 else 10,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.16),
        ncols=columns,
        handlelength=1.5,
        columnspacing=1.5,
        borderaxespad=0.0,
    )
