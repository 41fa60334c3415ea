"""The figures of the README, made of the results."""

import math

from keras_lbreg.plot_style import (
    INK,
    PALETTE,
    new_figure,
    plot_style,
)
from recipes.gradient_mix_2023.configuration import (
    CONCENTRATIONS,
    GROUPS,
    OPTIMIZERS,
    grid,
)
from recipes.gradient_mix_2023.measurement_tables import joined
from recipes.gradient_mix_2023.tables import differences

COLORS = dict(zip(GROUPS, PALETTE, strict=False))
MARKERS = dict(zip(GROUPS, "osD^v", strict=True))


def mixing(study):
    """Accuracy difference to plain averaging, by optimizer."""
    from scipy.special import stdtrit

    found = differences(study)
    if not found:
        return None
    with plot_style():
        figure = new_figure(12.5, 4.4)
        axes = figure.subplots(1, len(OPTIMIZERS), sharey=True)
        for axis, (name, title) in zip(axes, OPTIMIZERS.items(), strict=True):
            axis.axhline(0, color=INK, linewidth=1.0)
            groups = dict.fromkeys(k for k, _ in grid(name))
            for place, k in enumerate(groups):
                stats = [found.get((name, k, c)) for c in CONCENTRATIONS]
                # Side by side, or the intervals would hide each other.
                shift = 1.09 ** (place - (len(groups) - 1) / 2)
                points = [
                    (c * shift, 100 * s.mean, 100 * half_interval(s, stdtrit))
                    for c, s in zip(CONCENTRATIONS, stats, strict=True)
                    if s is not None
                ]
                if points:
                    x, y, error = zip(*points, strict=True)
                    axis.errorbar(
                        x,
                        y,
                        error,
                        color=COLORS[k],
                        marker=MARKERS[k],
                        markersize=5,
                        linewidth=1.4,
                        elinewidth=0.9,
                        capsize=2,
                        label=f"K = {k}",
                    )
            logarithmic(axis, CONCENTRATIONS)
            axis.set(title=title, xlabel="concentration c")
        axes[0].set_ylabel("accuracy less that of plain averaging, points")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=len(GROUPS)
        )
        figure.suptitle(
            "Digits (small), 20 epochs, batch 512; bars are 95 % intervals of "
            "the differences by seed",
            x=0.01,
            ha="left",
            fontsize=11,
        )
    return figure


def half_interval(stat, stdtrit):
    if stat.n < 2:
        return math.nan
    return stdtrit(stat.n - 1, 0.975) * stat.std / math.sqrt(stat.n)


def logarithmic(axis, values):
    axis.set_xscale("log")
    axis.set_xticks(values, [f"{value:g}" for value in values])
    axis.minorticks_off()


def covariance(study):
    """Trace of the noise's covariance, and relative errors."""
    file = study.measured("covariance")
    if file is None:
        return None
    cells = file["measured"]["cells"]
    measured = joined(cells, "trace", "trace_standard_error")
    formula = joined(cells, "trace_formula", "trace_standard_error")
    with plot_style():
        figure = new_figure(11, 4.8)
        left, right = figure.subplots(1, 2)
        for k in GROUPS:
            left.plot(
                CONCENTRATIONS,
                [formula[k, c][0] for c in CONCENTRATIONS],
                color=COLORS[k],
                linewidth=1.2,
            )
            left.plot(
                CONCENTRATIONS,
                [measured[k, c][0] for c in CONCENTRATIONS],
                color=COLORS[k],
                marker=MARKERS[k],
                linewidth=0,
                label=f"K = {k}",
            )
        left.set_yscale("log")
        left.set(
            title="Trace of the noise's covariance",
            ylabel="lines: formula, marks: measured",
        )
        left.legend()
        for offset, (name, color, title) in enumerate(
            (
                ("trace", PALETTE[0], "trace"),
                ("first", PALETTE[3], "variance in the first direction"),
            )
        ):
            errors = joined(cells, f"{name}_error", f"{name}_standard_error")
            for place, k in enumerate(GROUPS):
                shift = 1.07 ** (2 * (place - 2) + offset)
                right.errorbar(
                    [c * shift for c in CONCENTRATIONS],
                    [100 * errors[k, c][0] for c in CONCENTRATIONS],
                    [196 * errors[k, c][1] for c in CONCENTRATIONS],
                    color=color,
                    marker=MARKERS[k],
                    markersize=4,
                    linewidth=0,
                    elinewidth=1.0,
                    label=title if k == GROUPS[0] else None,
                )
        right.axhline(0, color=INK, linewidth=1.0)
        right.set(
            title="Relative error of the formula",
            ylabel="%, with 95 % intervals",
        )
        right.legend()
        for axis in (left, right):
            logarithmic(axis, CONCENTRATIONS)
            axis.set_xlabel("concentration c")
        say_scale(figure)
    return figure


def effective_batch(study):
    """Measured effective batch against the formula."""
    from recipes.gradient_mix_2023.effective_batch import predicted_share

    file = study.measured("effective_batch")
    if file is None:
        return None
    measured = joined(file["measured"]["cells"], "share", "standard_error")
    with plot_style():
        figure = new_figure(7.5, 4.8)
        axis = figure.subplots()
        lowest, highest = (math.log10(CONCENTRATIONS[i]) for i in (0, -1))
        fine = [
            10 ** (lowest + (highest - lowest) * i / 100) for i in range(101)
        ]
        for k in GROUPS:
            axis.plot(
                fine,
                [predicted_share(k, c) for c in fine],
                color=COLORS[k],
                linewidth=1.2,
            )
            axis.errorbar(
                CONCENTRATIONS,
                [measured[k, c][0] for c in CONCENTRATIONS],
                [1.96 * measured[k, c][1] for c in CONCENTRATIONS],
                color=COLORS[k],
                marker=MARKERS[k],
                linewidth=0,
                elinewidth=1.2,
                capsize=3,
                label=f"K = {k}",
            )
        logarithmic(axis, CONCENTRATIONS)
        axis.set_ylim(0, 1)
        axis.set(
            title="Effective batch by the noise of the gradient",
            xlabel="concentration c",
            ylabel="B_eff / B   (lines: formula)",
        )
        axis.legend()
        say_scale(figure)
    return figure


def say_scale(figure):
    figure.suptitle(
        "Digits network (small), groups of a batch of 512",
        x=0.01,
        ha="left",
        fontsize=11,
    )


FIGURES = {
    "mixing.png": mixing,
    "covariance.png": covariance,
    "effective_batch.png": effective_batch,
}
