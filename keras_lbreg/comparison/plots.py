"""The plots of a comparison: curves, colours, and what each shows."""

import dataclasses
import math
import operator
import textwrap

import numpy as np

from keras_lbreg.comparison.arms import BASELINE, REFERENCE
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
    "lr": (BLUE, "-"),
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

# Numbers of an epoch's logs by the field of a curve.
LOGGED = {"loss": "loss", "val_loss": "val_loss", "distance": "weight_distance"}

# More arms than these are shown in two panels.
MOST_IN_A_PANEL = 6

# Characters of a legend's line.
LEGEND = 50

# Shares of the gap in per cent that a figure shows: an arm that diverged would
# leave the others no room.
SHOWN = (-120, 300)


def arm_colors(arms):
    """`(color, line style)` by arm name.

    Arms that have no colour here get one of `OTHERS`, in the order of the
    manifest, dash-dotted.
    """
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
    # Pairs of an epoch and a learning rate.
    milestones: tuple
    epoch: np.ndarray
    updates: np.ndarray
    time: np.ndarray
    objective: np.ndarray
    spread: np.ndarray
    learning_rate: np.ndarray
    loss: np.ndarray
    val_loss: np.ndarray
    distance: np.ndarray


def mean_curves(results):
    """The `Curve` of every arm that has something to show.

    Finished runs are averaged. An arm without one shows what its unfinished
    runs have in common, so that a report made mid-run has curves already.
    Failed and damaged runs are left out: their epochs are not a result.
    """
    colors = arm_colors(results.arms)
    curves = []
    for arm in results.arms:
        runs = [run for run in results.runs_of(arm["name"]) if run.epochs]
        chosen = [run for run in runs if run.status == "finished"]
        chosen = chosen or [run for run in runs if run.status == "running"]
        by_epoch = [
            {r.epoch: r for r in run.epochs if math.isfinite(r.objective)}
            for run in chosen
        ]
        common = sorted(set.intersection(*map(set, by_epoch))) if chosen else ()
        if common:
            table = [[run[epoch] for epoch in common] for run in by_epoch]
            curves.append(mean_curve(results, arm, table, colors[arm["name"]]))
    return curves


def mean_curve(results, arm, table, style):
    """The mean of a table of records, a row a run and a column an epoch."""

    def values(read):
        return np.array([list(map(read, row)) for row in table], "float64")

    means = {
        field: values(operator.attrgetter(field)).mean(axis=0)
        for field in ("updates", "time", "learning_rate")
    }
    for field, name in LOGGED.items():
        logged = values(lambda record, name=name: record.logs.get(name))
        means[field] = logged.mean(axis=0)
    objective = values(operator.attrgetter("objective"))
    objective = (100 if results.is_share else 1) * objective
    return Curve(
        arm["name"],
        arm["title"],
        *style,
        milestones=tuple(arm.get("milestones") or ()),
        epoch=np.array([record.epoch for record in table[0]]),
        objective=objective.mean(axis=0),
        spread=objective.std(axis=0, ddof=min(1, len(table) - 1)),
        **means,
    )


def make_plots(results):
    """The `Plot`s for which `results` holds enough; its runs may go on."""
    curves = mean_curves(results)
    if not curves:
        return []
    config, workload = (results.manifest[k] for k in ("config", "workload"))
    seeds = len(results.manifest["seeds"])
    several = seeds > 1
    words = objective_words(results).replace("val_", "validation ")
    words = words[:1].upper() + words[1:]
    good = "Higher" if results.maximize else "Lower"
    band = (
        " Bands are one standard deviation over the seeds." if several else ""
    )
    bars = " Error bars are one standard deviation." if several else ""
    plots = [
        (
            "objective_by_epoch",
            f"{words} by epoch",
            f"{good} is better; the dashed line is where the small batch "
            "ends. An epoch is one pass over the training data. Regime "
            "adaptation (RA) trains for more of them, so that it makes as "
            f"many updates as the small batch.{band} Each legend is ordered "
            "by the final value, which is printed before the name.",
            objective_panels(results, curves, "epoch", "epoch"),
        ),
        (
            "objective_by_time",
            f"{words} by training time",
            "The same runs against the seconds they took on this machine, "
            "without compilation and validation. Further left is faster: a "
            "remedy pays where it reaches the dashed line before the small "
            "batch does. On a processor with few cores a large batch saves "
            "less time than on an accelerator.",
            objective_panels(results, curves, "time", "seconds of training"),
        ),
        (
            "loss",
            "Training and validation loss",
            "What the optimizer minimises, on the data it sees and on those "
            "it does not, without regularization terms where the model "
            "reports them apart. A large batch that has too few updates is "
            "behind in both; one that generalises worse is behind in "
            "validation alone.",
            loss_panels(curves),
        ),
        (
            "learning_rate",
            "Learning rate",
            "The rate of each epoch's first update. Arms of one rate share a "
            "line.",
            rate_panels(curves),
        ),
        (
            "gap_closed",
            "Share of the gap closed",
            "0 % is the plain large batch, 100 % the small batch; left "
            "of zero a remedy does harm, right of 100 % it does better "
            f"than the small batch.{bars}",
            gap_panels(results),
        ),
        (
            "weight_distance",
            "How far the weights travel",
            "Euclidean distance of all trainable weights from where they "
            "began, against the number of updates. On the logarithmic "
            "axis a straight line means that the distance grows as log "
            "t, as Hoffer et al. found for every batch size; b is the "
            "slope of the line fitted until the learning rate first "
            "falls. With learning-rate scaling and ghost batch norm they "
            "saw the lines of large and small batches come together.",
            distance_panels(results, curves),
        ),
    ]
    setting = (
        f"{workload['title'] or workload['name']}: small batch "
        f"{config['small_batch_size']:,}, large batch "
        f"{config['batch_size']:,}, "
        + (f"mean of {seeds} seeds" if several else "one seed")
    )
    return [
        Plot(*words, tuple(panels), setting)
        for *words, panels in plots
        if panels
    ]


def known(curves, field):
    """The curves of which a field is not `nan` everywhere."""
    return [c for c in curves if np.isfinite(getattr(c, field)).any()]


def arm_groups(results, curves):
    """Pairs of a panel's title and its curves.

    Few arms share one panel. Many are shown in two: the techniques added one
    after another, as in the columns of Hoffer et al., and all other arms.
    Both have the small and the large batch.
    """
    groups = {arm["name"]: arm["group"] for arm in results.arms}
    ends = (REFERENCE, BASELINE)
    added = [
        c for c in curves if c.name in ends or groups[c.name] == "cumulative"
    ]
    others = [c for c in curves if c.name in ends or c not in added]
    whole = max(len(added), len(others)) == len(curves)
    if len(curves) <= MOST_IN_A_PANEL or whole:
        return [("", curves)]
    return [("Added one after another", added), ("The other arms", others)]


def objective_panels(results, curves, field, xlabel):
    limits = zoom(curves, results.sign)
    name = results.objective.removeprefix("val_").replace("_", " ")
    ylabel = f"validation {name}{', %' if results.is_share else ''}"

    def panel(title, chosen):
        def draw(axis):
            for curve in chosen:
                draw_objective(results, axis, curve, field)
            x_axis(axis, [getattr(curve, field) for curve in chosen], field)
            axis.set_ylim(*limits)
            axis.set(xlabel=xlabel, ylabel=ylabel)
            legend(axis, results.maximize)

        return Panel(title, draw, height_for(len(chosen)))

    return [panel(*group) for group in arm_groups(results, curves)]


def draw_objective(results, axis, curve, field):
    x, y, final = getattr(curve, field), curve.objective, curve.objective[-1]
    if curve.name == REFERENCE:
        axis.axhline(final, color=INK, linestyle=(0, (5, 4)), linewidth=1.0)
    number = f"{final:.1f}" if results.is_share else f"{final:.3g}"
    draw_line(axis, curve, x, y, f"{number}  {curve.title}")
    low, high = y - curve.spread, y + curve.spread
    axis.fill_between(x, low, high, color=curve.color, alpha=0.1, linewidth=0)


def draw_line(axis, curve, x, y, label):
    # A single epoch makes no line.
    style = {"linestyle": curve.dashes, "marker": "o" if len(x) == 1 else None}
    axis.plot(x, y, color=curve.color, label=label, **style)


def zoom(curves, sign):
    """Limits that show the final differences, not the first epochs.

    An arm that failed to learn may fall out of the picture; the legend has
    its number.
    """
    middle = np.median([sign * curve.objective[-1] for curve in curves])
    top = max(float(np.max(sign * c.objective + c.spread)) for c in curves)
    low = min(float(np.min(sign * c.objective - c.spread)) for c in curves)
    height = max(6 * (top - middle), 0.03 * abs(top))
    height = min(height, top - low) or 0.1 * abs(top) or 1.0
    ends = sorted((sign * (top - 1.05 * height), sign * (top + 0.05 * height)))
    return tuple(ends)


def loss_panels(curves):
    """Training and validation loss, on axes of the same limits."""
    shown = [
        value
        for curve in curves
        for values in (curve.loss, curve.val_loss)
        # Diverged arms and first epochs would leave the others no room.
        for value in values[-max(1, len(values) * 9 // 10) :]
        if np.isfinite(value)
    ]
    if not shown:
        return []
    low, high = min(shown), float(np.quantile(shown, 0.97))
    logarithmic = low > 0 and high > 10 * low
    margin = (high / low) ** 0.05 if logarithmic else 0.05 * (high - low)

    def panel(title, field):
        chosen = known(curves, field)

        def draw(axis):
            for curve in chosen:
                values = getattr(curve, field)
                label = f"{values[-1]:.3g}  {curve.title}"
                draw_line(axis, curve, curve.epoch, values, label)
            x_axis(axis, [curve.epoch for curve in chosen], "epoch")
            axis.set(xlabel="epoch", ylabel="loss")
            if logarithmic:
                axis.set_ylim(low / margin, high * margin)
                log_axis(axis, "y")
            elif high > low:
                axis.set_ylim(low - margin, high + margin)
            legend(axis, highest_first=False)

        return [Panel(title, draw, height_for(len(chosen)))] if chosen else []

    return panel("Training", "loss") + panel("Validation", "val_loss")


def rate_panels(curves):
    """The learning rates; arms with one course of it share a line."""
    shared = {}
    for curve in curves:
        course = (tuple(curve.epoch), tuple(np.round(curve.learning_rate, 12)))
        shared.setdefault(course, []).append(curve)
    # Of equal rates in the first epochs the shorter is drawn last.
    groups = sorted(shared.values(), key=lambda group: -group[0].epoch[-1])
    labels = ["; ".join(c.title for c in group) for group in groups]
    rates = np.concatenate([curve.learning_rate for curve in curves])
    rates = rates[np.isfinite(rates) & (rates > 0)]

    def draw(axis):
        for group, label in zip(groups, labels, strict=True):
            curve = group[0]
            draw_line(axis, curve, curve.epoch, curve.learning_rate, label)
            axis.lines[-1].set_drawstyle("steps-post")
        x_axis(axis, [curve.epoch for curve in curves], "epoch")
        if len(rates) and rates.max() > 10 * rates.min():
            log_axis(axis, "y")
        else:
            axis.set_ylim(bottom=0)
        axis.set(xlabel="epoch", ylabel="learning rate")
        legend(axis, columns=1)

    lines = sum(len(textwrap.wrap(label, LEGEND)) for label in labels)
    return [Panel("", draw, height_for(lines, 1))]


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

    def draw(axis):
        axis.grid(False)
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        for place, text in ((0, "large batch"), (100, "small batch")):
            axis.axvline(place, color=INK, linewidth=1.0, zorder=0)
            above_axis(axis, place, text, 4, ha="center", fontsize=10)
        for place, row in enumerate(rows):
            share, std = 100 * row.closed.mean, 100 * row.closed.std
            alpha = 0.55 if row.group == "control" else 1.0
            axis.barh(place, share, 0.62, color=colors[row.arm][0], alpha=alpha)
            if std >= 0:
                style = {"color": INK, "capsize": 3, "elinewidth": 1.2}
                axis.errorbar(share, place, xerr=std, **style)
        labels = [
            f"{textwrap.shorten(row.title, 26)}  {100 * row.closed.mean:.0f} %"
            for row in rows
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


def distance_panels(results, curves):
    """How far the weights have travelled, against updates.

    Hoffer et al. see a random walk on a random potential: the distance grows
    as the logarithm of the number of updates `t`, a straight line here. The
    thin lines are least-squares fits of `a + b log t` until the learning rate
    first falls.
    """

    def panel(title, chosen):
        def draw(axis):
            for curve in chosen:
                draw_distance(axis, curve)
            log_axis(axis)
            axis.set(
                xlabel="updates", ylabel="distance from the start, ‖w − w₀‖"
            )
            legend(axis)

        return Panel(title, draw, height_for(len(chosen)))

    chosen = known(curves, "distance")
    groups = arm_groups(results, chosen) if chosen else []
    return [panel(*group) for group in groups]


def draw_distance(axis, curve):
    seen = np.isfinite(curve.distance)
    updates, distance = curve.updates[seen], curve.distance[seen]
    label = curve.title
    # A smaller learning rate all but stops the walk: fit what lies before.
    ends = curve.milestones[0][0] if curve.milestones else math.inf
    fitted = updates[curve.epoch[seen] <= ends]
    if len(fitted) > 2:
        slope, start = np.polyfit(np.log(fitted), distance[: len(fitted)], 1)
        line = start + slope * np.log(fitted)
        axis.plot(fitted, line, color=curve.color, linewidth=1.0, alpha=0.6)
        label = f"{curve.title}  (b = {slope:.2g})"
    marker = "o" if curve.dashes == "-" else "s"
    style = {"marker": marker, "markersize": 2.5, "linewidth": 0.0}
    axis.plot(updates, distance, color=curve.color, label=label, **style)


def x_axis(axis, spans, field):
    """A logarithmic x axis where runs differ in length, whole epochs."""
    ends = [span[-1] for span in spans if len(span)]
    if ends and max(ends) > 3 * min(ends) and min(s[0] for s in spans) > 0:
        log_axis(axis)
    elif field == "epoch":
        axis.xaxis.get_major_locator().set_params(integer=True)


def height_for(entries, columns=2):
    """Inches of a panel whose legend has so many entries."""
    return PANEL_HEIGHT + 0.21 * math.ceil(entries / columns)


def legend(axis, highest_first=True, columns=None):
    """Add the legend under the axis, the best final value first."""
    sign = -1 if highest_first else 1
    lines = zip(*axis.get_legend_handles_labels(), strict=True)
    lines = sorted(lines, key=lambda line: sign * line[0].get_ydata()[-1])
    columns = columns or (2 if len(lines) > 3 else 1)
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
