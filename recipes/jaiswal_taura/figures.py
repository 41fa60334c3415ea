"""The figures of the README."""

import numpy as np

from keras_lbreg.comparison.plots import (
    mean_curves,
)
from keras_lbreg.comparison.statistics import Stat, finals
from keras_lbreg.plot_style import (
    INK,
    PALETTE,
    log_axis,
    new_figure,
    plot_style,
)
from recipes.jaiswal_taura.configuration import DECAYS, SWEEP
from recipes.jaiswal_taura.records import name_of, run_so_far
from recipes.study.plots import legend

PANEL, HEIGHT = 4.2, 5.2
LOOKS = {
    "small_batch": ("batch 32", INK, "-"),
    "lr": ("no noise", PALETTE[0], "-"),
    "lr_noise": ("noise", PALETTE[1], "-"),
    "lr_ra": ("no noise, as many updates", PALETTE[2], "-"),
}


def plot_curves(study, family):
    """Figure 4: validation accuracy by epoch, without and with noise."""
    arms = ("small_batch", "lr", "lr_noise")
    return plot_accuracy(study, family, arms, "epoch", "epoch")


def plot_updates(study, family):
    """Figure 5: training for as many updates as the small batch."""
    arms = ("small_batch", "lr", "lr_ra")
    return plot_accuracy(study, family, arms, "updates", "updates")


def plot_accuracy(study, family, arms, field, label):
    """One row for each reading of the decay, one column for each batch.

    Those alone of which there are results.
    """
    readings, batches = run_so_far(study, family)
    if not readings:
        return None
    with plot_style():
        # One narrow panel would have no room for its legend.
        width = PANEL * max(len(batches), 1.4)
        figure = new_figure(width, HEIGHT * len(readings))
        grid = figure.subplots(
            len(readings), len(batches), sharey="row", squeeze=False
        )
        for row, reading in zip(grid, readings, strict=True):
            seen = []
            for axis, batch in zip(row, batches, strict=True):
                curves = curves_of(study, family, batch, reading, arms)
                for curve in curves:
                    draw(axis, curve, getattr(curve, field))
                seen += curves
                axis.set(
                    title=f"Batch {batch}, decay {DECAYS[reading]:g}",
                    xlabel=label,
                )
                if curves:
                    if field == "updates":
                        log_axis(axis)
                    else:
                        locator = axis.xaxis.get_major_locator()
                        locator.set_params(integer=True)
                    legend(axis)
            row[0].set_ylabel("validation accuracy, %")
            if seen:
                row[0].set_ylim(*end_of(seen))
        words = setting(study, family)
        if len(batches) == 1:
            words = words.replace(": ", ":\n", 1)
        figure.suptitle(words, x=0.01, ha="left", fontsize=11)
    return figure


def curves_of(study, family, batch, reading, arms):
    """The mean curves of these arms; the small batch's from its own place."""
    curves = []
    for arm in arms:
        stands = 32 if arm == "small_batch" else batch
        results = study.results(name_of(family, stands, reading))
        if results is not None:
            curves += [c for c in mean_curves(results) if c.name == arm]
    return curves


def end_of(curves):
    """Limits in which the curves' last part can be told apart."""
    finals = [curve.objective[-1] for curve in curves]
    return min(finals) - 6, min(max(finals) + 1.5, 100)


def draw(axis, curve, x):
    title, color, dashes = LOOKS[curve.name]
    axis.plot(
        x,
        curve.objective,
        color=color,
        linestyle=dashes,
        label=f"{curve.objective[-1]:.1f}  {title}",
    )
    axis.fill_between(
        x,
        curve.objective - curve.spread,
        curve.objective + curve.spread,
        color=color,
        alpha=0.12,
        linewidth=0,
    )


def setting(study, family):
    """What a picture without its page needs to be understood."""
    for reading in DECAYS:
        results = study.results(name_of(family, 32, reading))
        if results is not None:
            config = results.manifest["config"]
            seeds = len(results.manifest["seeds"])
            epochs = f"{config['epochs']}"
            if config["epochs"] != family.epochs:
                epochs += f" of {family.epochs}"
            return (
                f"{family.title}: {epochs} epochs, linear rule, "
                f"{seeds} seed{'s' if seeds > 1 else ''}"
            )
    return family.title


def plot_interpolation(study, family):
    """Figure 6: loss and accuracy along the lines between minima."""
    content = study.measured(f"interpolation_{family.name}")
    if content is None:
        return None
    measured = content["measured"]
    positions = measured["positions"]
    batches = sorted({line["batch"] for line in measured["lines"]})
    with plot_style():
        figure = new_figure(2.6 * PANEL, HEIGHT)
        axes = figure.subplots(1, 2)
        for index, batch in enumerate(batches):
            lines = [x for x in measured["lines"] if x["batch"] == batch]
            for part, dashes in (("train", "-"), ("val", "--")):
                losses = [line["loss"][part] for line in lines]
                shares = [line["accuracy"][part] for line in lines]
                look = {
                    "color": PALETTE[index],
                    "linestyle": dashes,
                    "label": f"32 to {batch}, {part}",
                }
                axes[0].plot(positions, np.mean(losses, axis=0), **look)
                axes[1].plot(positions, 100 * np.mean(shares, axis=0), **look)
        axes[0].set(ylabel="loss", yscale="log", title="Loss")
        axes[1].set(ylabel="accuracy, %", title="Accuracy")
        for axis in axes:
            axis.set_xlabel("a (0: batch 32, 1: the large batch)")
            for end in (0, 1):
                axis.axvline(end, color=INK, linewidth=0.8, zorder=0)
        axes[0].legend(
            loc="upper left", bbox_to_anchor=(0, -0.13), ncols=len(batches)
        )
        seeds = len(measured["seeds"])
        figure.suptitle(
            f"{measured['title']}: mean of {seeds} "
            f"pair{'s' if seeds > 1 else ''} of runs",
            x=0.01,
            ha="left",
            fontsize=11,
        )
    return figure


def plot_alpha(study, family):
    """Figure 7: accuracy against alpha, beside the level without noise."""
    results = study.results(family.sweep().name)
    if results is None:
        return None
    config = results.manifest["config"]
    levels = [
        (Stat.of(finals(results, arm).values()), text, color)
        for arm, text, color in (
            ("small_batch", "batch 32, no noise", INK),
            ("lr", f"batch {family.swept}, no noise", PALETTE[0]),
        )
    ]
    stats = {
        alpha: Stat.of(finals(results, arm.name).values())
        for alpha, arm in SWEEP.items()
    }
    stats = {alpha: stat for alpha, stat in stats.items() if stat.n}
    with plot_style():
        figure = new_figure(2.6 * PANEL, HEIGHT)
        axes = figure.subplots(1, 2)
        for axis in axes:
            draw_alpha(axis, levels, stats, f"batch {family.swept}, noise")
        axes[0].set(ylabel="validation accuracy, %", title="All of it")
        axes[1].set(ylim=near(levels), title="Near the level without noise")
        axes[0].legend(loc="lower left")
        figure.suptitle(
            f"{family.title}: {config['epochs']} epochs, mean and standard "
            f"deviation of {len(results.manifest['seeds'])} seeds",
            x=0.01,
            ha="left",
            fontsize=11,
        )
    return figure


def draw_alpha(axis, levels, stats, label):
    """Levels as lines with bands, and the accuracy by alpha with bars."""
    for stat, text, color in levels:
        mean, std = 100 * stat.mean, 100 * stat.std
        axis.axhline(mean, color=color, label=f"{mean:.1f}  {text}")
        axis.axhspan(
            mean - std, mean + std, color=color, alpha=0.12, linewidth=0
        )
    axis.errorbar(
        list(stats),
        [100 * stat.mean for stat in stats.values()],
        [100 * stat.std for stat in stats.values()],
        color=PALETTE[1],
        marker="o",
        capsize=3,
        label=label,
    )
    axis.set(xscale="log", xlabel="alpha, the variance of the first noise")


def near(levels):
    """Limits in which the levels fill the upper half."""
    means = [100 * stat.mean for stat, _, _ in levels]
    spread = max([100 * s.std for s, _, _ in levels if s.std >= 0], default=1.0)
    top, bottom = max(means) + spread, min(means) - 2 * spread
    return bottom - (top - bottom), top
