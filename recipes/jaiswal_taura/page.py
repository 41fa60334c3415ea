"""Jaiswal and Taura's tables and figures."""

import functools
import itertools
import pathlib

import numpy as np

from keras_lbreg.comparison.statistics import Stat, finals
from keras_lbreg.comparison.table import format_stat
from keras_lbreg.formatting import MISSING, markdown_table
from keras_lbreg.plot_style import INK, PALETTE
from recipes.figures import curve_of, draw_curve, draw_stats, figure_of
from recipes.jaiswal_taura.configuration import (
    DECAYS,
    DIGITS,
    FAMILIES,
    FULL,
    PX64,
    PX104,
    SWEEP,
)
from recipes.jaiswal_taura.interpolation import measure_interpolation
from recipes.jaiswal_taura.noise_size import POINTS, measure_noise_size
from recipes.paper import Measurement, Paper
from recipes.tables import accuracy, difference, length, not_run, runs_table

LOOKS = {
    "small_batch": ("batch 32", INK),
    "lr": ("no noise", PALETTE[0]),
    "lr_noise": ("noise", PALETTE[1]),
    "lr_ra": ("no noise, as many updates", PALETTE[2]),
    "lr_warmup": ("no noise, warm-up", PALETTE[5]),
}
# Every reading of the decay, with every batch of a family.
readings = functools.partial(itertools.product, DECAYS)


def cell(paper, family, batch, reading, arm):
    """An accuracy, with the number of seeds, and epochs where shortened."""
    results = paper.results(family.stands_in(batch, reading))
    text = accuracy(results, arm)
    epochs = length(results, family.epochs) if text else ""
    if "of" in epochs:
        text += f", {epochs.removesuffix(' (shortened)')} epochs"
    return text or MISSING


def table_2(paper):
    """The paper's Table 2, beside runs at its own and at smaller size."""
    columns = [
        (family, reading)
        for family, reading in itertools.product((FULL, PX104), DECAYS)
        if paper.results(family.stands_in(128, reading))
    ]
    head = ["batch", "noise", "paper"]
    head += [f"{f.stored[0]} px, decay {DECAYS[r]:g}" for f, r in columns]
    noises = {"lr": "without", "lr_noise": "with"}
    lines = list(itertools.product(FULL.batches, noises))
    rows = []
    for batch, arm in [(32, "small_batch"), *lines]:
        published = FULL.paper[128 if batch == 32 else batch][arm]
        cells = [cell(paper, f, batch, r, arm) for f, r in columns]
        noise = noises.get(arm, "without")
        rows.append((batch, noise, f"{published:.2f}", *cells))
    return markdown_table(head, rows)


def small_table(paper, family):
    """Accuracies of a smaller version, and what the noise does to them."""
    rows = []
    for reading, batch in readings((32, *family.batches)):
        results = paper.results(family.stands_in(batch, reading))
        if results is None:
            continue
        read = functools.partial(cell, paper, family, batch, reading)
        if batch == 32:
            cells = (read("small_batch"), *[MISSING] * 4)
        else:
            gain = difference(results, "lr_noise", "lr") or MISSING
            plain, noisy, *others = map(read, list(LOOKS)[1:])
            cells = plain, noisy, gain, *others
        rows.append((batch, f"{DECAYS[reading]:g}", *cells))
    if not rows:
        return not_run(paper, family.comparisons())
    head = ("batch", "decay", "no noise", "noise", "noise minus none")
    head += ("as many updates, no noise", "warm-up, no noise")
    return markdown_table(head, rows)


def alpha_table(paper):
    """Accuracy by alpha, for every family that was swept."""
    found = [(f, paper.results(f.sweep().name)) for f in FAMILIES.values()]
    found = [(family, results) for family, results in found if results]
    head = ["alpha"]
    for family, _ in found:
        head += [f"{family.title}, batch {family.swept}", "minus none"]
    labels = {"small_batch": "batch 32, no noise", "lr": "no noise"}
    labels |= {a.name: a.title.removeprefix("alpha ") for a in SWEEP.values()}
    rows = []
    for arm, label in labels.items():
        row = [label]
        for _, results in found:
            gain = MISSING if arm == "lr" else difference(results, arm, "lr")
            row += [accuracy(results, arm), gain]
        rows.append(row)
    return markdown_table(head, rows)


def measured(paper, kind):
    """What the measurements of a kind found, of each family."""
    for name in (*FAMILIES, "mnist"):
        content = paper.measured(f"{kind}_{name}")
        if content is not None:
            yield content["measured"]


def by(rows, *names):
    """Lists of rows that have these values in common, by the values."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


PLACES = (-0.5, 0.0, 0.5, 1.0, 1.5)


def interpolation_table(paper):
    """Training loss at some places on the lines between minima."""
    rows = []
    for found in measured(paper, "interpolation"):
        for (batch,), lines in sorted(by(found["lines"], "batch").items()):
            row = [found["title"], f"batch 32 to {batch}"]
            for index in map(found["positions"].index, PLACES):
                loss = Stat.of(x["loss"]["train"][index] for x in lines)
                row.append(format_stat(loss, 3))
            rows.append(row)
    head = ["network, data", "line", *(f"a = {a:g}" for a in PLACES)]
    return markdown_table(head, rows)


def noise_size_table(paper):
    """The gradient's own noise, the added one, and the alpha to match.

    Means over seeds, at each batch's first and last epoch measured.
    """
    names = ("signal", "own_noise", "small_noise", "added_noise")
    rows = []
    for found in measured(paper, "noise_size"):
        epochs = [row["epoch"] for row in found["rows"]]
        for (batch, epoch), ones in by(found["rows"], "batch", "epoch").items():
            if epoch not in (min(epochs), max(epochs)):
                continue
            signal, own, small, added, alpha = (
                Stat.of(row[name] for row in ones).mean
                for name in (*names, "matching_alpha")
            )
            first = ones[0]
            rows.append(
                (
                    found["title"],
                    f"{first['parameters']:,}",
                    f"{batch:,}",
                    f"{epoch} ({first['updates']:,})",
                    f"{signal:.2g}",
                    f"{own:.2g}",
                    f"{small:.2g} (batch {first['small_batch']})",
                    f"{added:.2g}",
                    f"{added / own:.2g}",
                    f"{alpha:.1g}",
                )
            )
    head = ("network, data", "parameters", "batch", "epoch (update)")
    head += ("squared gradient", "its noise", "noise of the small batch")
    head += ("added noise, alpha 1e-5", "added / own", "matching alpha")
    return markdown_table(head, rows)


def noise_statistics_table(paper):
    """How many times too large `gradient_noise_scale` finds the noise.

    Of training steps of 32 samples, by what batch normalization divides by.
    """
    kinds = ("batch", "estimate", "moving")
    rows = []
    for found in measured(paper, "noise_size"):
        of_32 = [row for row in found["rows"] if row["small_batch"] == 32]
        for (epoch,), ones in by(of_32, "epoch").items():
            cells = [span(ratios(ones, kind)) for kind in kinds]
            rows.append((found["title"], f"{epoch}", *cells))
    head = ("network, data", "epoch", *(f'`"{kind}"`' for kind in kinds))
    return markdown_table(head, rows)


def ratios(rows, statistics):
    """Noise by the noise scale over that measured, for batches of 32."""
    return [
        row["noise_by_statistics"][statistics]
        * row["batch"]
        / row["small_batch"]
        / row["small_noise"]
        for row in rows
    ]


def span(values):
    """The smallest and the largest value."""
    low, high = (
        f"{value:.0f}" if value >= 10 else f"{value:.2g}"
        for value in (min(values), max(values))
    )
    return low if low == high else f"{low} to {high}"


def plot_accuracy(paper, family, x, arms):
    """A panel for each reading of the decay and batch that there is.

    Figure 4, without and with noise, and 5, for as many updates as the small
    batch.
    """

    def panel(reading, batch):
        def draw(axis):
            ends = []
            for arm in arms:
                stands = 32 if arm == "small_batch" else batch
                results = paper.results(family.stands_in(stands, reading))
                curve = curve_of(results, arm)
                if curve is not None:
                    label, color = LOOKS[arm]
                    draw_curve(axis, curve, x, label=label, color=color)
                    ends.append(curve.objective[-1])
            axis.set(xlabel=x, ylabel="validation accuracy, %")
            if ends:
                # Limits in which the curves' last part can be told apart.
                axis.set_ylim(min(ends) - 6, min(max(ends) + 1.5, 100))
            if x == "updates":
                axis.set_xscale("log")

        return f"batch {batch}, decay {DECAYS[reading]:g}", draw

    panels = [
        panel(reading, batch)
        for reading, batch in readings(family.batches)
        if paper.results(family.stands_in(batch, reading))
    ]
    return figure_of(panels, f"{family.title}, linear rule")


def plot_interpolation(paper, family):
    """Figure 6: loss and accuracy along the lines between minima."""
    content = paper.measured(f"interpolation_{family.name}")
    if content is None:
        return None
    found = content["measured"]
    lines = sorted(by(found["lines"], "batch").items())

    def panel(what, scale, title):
        def draw(axis):
            for color, ((batch,), ones) in zip(PALETTE, lines, strict=False):
                for part, dashes in (("train", "-"), ("val", "--")):
                    mean = np.mean([one[what][part] for one in ones], axis=0)
                    look = {"color": color, "linestyle": dashes}
                    look["label"] = f"32 to {batch}, {part}"
                    axis.plot(found["positions"], scale * mean, **look)
            axis.set_xlabel("a (0: batch 32, 1: the large batch)")
            for end in (0, 1):
                axis.axvline(end, color=INK, linewidth=0.8, zorder=0)
            if what == "loss":
                axis.set_yscale("log")

        return title, draw

    panels = [panel("loss", 1, "Loss"), panel("accuracy", 100, "Accuracy, %")]
    setting = f"{found['title']}: mean of {len(found['seeds'])} pairs of runs"
    return figure_of(panels, setting, columns=2)


def plot_alpha(paper, family):
    """Figure 7: accuracy against alpha, beside the level without noise."""
    results = paper.results(family.sweep().name)
    if results is None:
        return None

    def stat_of(arm):
        return Stat.of(finals(results, arm).values())

    levels = {arm: stat_of(arm) for arm in ("small_batch", "lr")}
    stats = [stat_of(arm.name) for arm in SWEEP.values()]

    def panel(title, limits):
        def draw(axis):
            for arm, stat in levels.items():
                label, color = LOOKS[arm]
                mean, std = 100 * stat.mean, 100 * stat.std
                axis.axhline(mean, color=color, label=label)
                band = {"color": color, "alpha": 0.12, "linewidth": 0}
                axis.axhspan(mean - std, mean + std, **band)
            look = {"color": PALETTE[1], "marker": "o", "capsize": 3}
            draw_stats(axis, SWEEP, stats, label="noise", **look)
            axis.set(
                xscale="log", xlabel="alpha, the variance of the first noise"
            )
            axis.set(ylabel="validation accuracy, %", ylim=limits)

        return title, draw

    means = [100 * stat.mean for stat in levels.values()]
    spread = 100 * max(stat.std for stat in levels.values())
    top, bottom = max(means) + spread, min(means) - 2 * spread
    near = bottom - (top - bottom), top
    panels = [panel("All of it", None), panel("Near no noise", near)]
    title = f"{family.title}, batch {family.swept}: deviation over the seeds"
    return figure_of(panels, title, columns=2)


FIGURES = {
    "curves": functools.partial(
        plot_accuracy, x="epoch", arms=("small_batch", "lr", "lr_noise")
    ),
    "updates": functools.partial(
        plot_accuracy, x="updates", arms=("small_batch", "lr", "lr_ra")
    ),
    "interpolation": plot_interpolation,
    "alpha": plot_alpha,
}
TITLES = {"mnist": "F1, MNIST", **{n: f.title for n, f in FAMILIES.items()}}

PAPER = Paper(
    name="jaiswal_taura",
    title="Jaiswal and Taura, annealed gradient noise",
    folder=pathlib.Path(__file__).parent,
    comparisons=tuple(
        comparison
        for family in FAMILIES.values()
        for comparison in family.comparisons()
    ),
    measurements=(
        *(
            Measurement(
                f"interpolation_{name}",
                f"{family.title}: the line between minima",
                functools.partial(measure_interpolation, family),
                "Figure 6",
            )
            for name, family in FAMILIES.items()
        ),
        *(
            Measurement(
                f"noise_size_{name}",
                f"{TITLES[name]}: the added noise beside the gradient's own",
                functools.partial(measure_noise_size, name),
            )
            for name in POINTS
        ),
    ),
    tables={
        "table_2": table_2,
        "px64": functools.partial(small_table, family=PX64),
        "digits": functools.partial(small_table, family=DIGITS),
        "alpha": alpha_table,
        "interpolation": interpolation_table,
        "noise_size": noise_size_table,
        "noise_statistics": noise_statistics_table,
        "runs": runs_table,
    },
    figures={
        f"{kind}_{name}.png": functools.partial(draw, family=family)
        for name, family in FAMILIES.items()
        for kind, draw in FIGURES.items()
    },
)
