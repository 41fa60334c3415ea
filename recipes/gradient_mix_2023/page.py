"""The tables and figures of GradientMix."""

import collections
import math
import pathlib
import statistics

import numpy as np

from keras_lbreg.comparison.statistics import Stat, finals, holm, t_test
from keras_lbreg.comparison.table import format_stat
from keras_lbreg.formatting import MISSING, markdown_table
from keras_lbreg.plot_style import INK, PALETTE
from recipes.figures import figure_of, half_interval, logarithmic
from recipes.gradient_mix_2023.configuration import (
    BASELINE,
    CONCENTRATIONS,
    GROUPS,
    MIX_COMPARISONS,
    OPTIMIZERS,
    RATE_COMPARISONS,
    RATES,
    TUNED,
    grid,
    mix_name,
    rate_name,
)
from recipes.gradient_mix_2023.mixing_noise import (
    measure_covariance,
    measure_effective_batch,
    predicted_share,
)
from recipes.paper import Measurement, Paper
from recipes.tables import (
    accuracy,
    difference,
    differences,
    gain_cell,
    runs_table,
    verdict,
)

STYLES = {
    groups: {"color": color, "marker": marker}
    for groups, color, marker in zip(GROUPS, PALETTE, "osD^v", strict=False)
}


def rates(paper):
    """Held-out accuracy of plain averaging by learning rate."""
    rows = []
    for name, title in OPTIMIZERS.items():
        results = paper.results(f"{name}_rate")
        row = [title]
        for rate in RATES[name]:
            values = finals(results, rate_name(rate)).values()
            text = format_stat(Stat.of(values), 1, 100)
            chosen = "**" if rate == TUNED[name] else ""
            row.append(f"{chosen}{rate:g}: {text}{chosen}")
        rows.append(row)
    return markdown_table(["optimizer", *["rate: accuracy, %"] * 5], rows)


def mixing(paper):
    """Differences to plain averaging, by optimizer, K and c."""
    rows = []
    for name, title in OPTIMIZERS.items():
        results = paper.results(f"{name}_mix")
        for groups in dict.fromkeys(k for k, _ in grid(name)):
            cells = [
                difference(results, mix_name(groups, c), BASELINE)
                for c in CONCENTRATIONS
            ]
            plain = accuracy(results, BASELINE, 1)
            rows.append((f"{title}, K = {groups}", plain, *cells))
    head = ("", "plain, %", *(f"c = {c:g}" for c in CONCENTRATIONS))
    return markdown_table(head, rows)


def mixing_differences(paper, name):
    """Differences to plain averaging by seed, by K and c."""
    results = paper.results(f"{name}_mix")
    return {
        pair: differences(results, mix_name(*pair), BASELINE)
        for pair in grid(name)
    }


def pooled(paper, name):
    """The mean difference over all of an optimizer's K and c, by seed."""
    return np.mean(list(mixing_differences(paper, name).values()), axis=0)


def verdicts(paper):
    """How many of all comparisons exceed chance."""
    rows = []
    for names in (*((name,) for name in OPTIMIZERS), tuple(OPTIMIZERS)):
        found = [
            values
            for name in names
            for values in mixing_differences(paper, name).values()
        ]
        judged = list(map(verdict, found))
        one = len(names) == 1
        mean = pooled(paper, names[0]) if one else ()
        rows.append(
            (
                OPTIMIZERS[names[0]] if one else "all",
                len(found),
                judged.count("better"),
                judged.count("worse"),
                f"{0.05 * len(found):.1f}",
                sum(holm([t_test(values)[1] for values in found])),
                gain_cell(mean, count=False) or MISSING,
            )
        )
    head = ("optimizer", "comparisons", "better", "worse")
    head += ("expected by chance", "left by Holm's method", "mean of all")
    return markdown_table(head, rows)


def joined(cells, value, error):
    """Mean over seeds by K and c, with its standard error."""
    groups = collections.defaultdict(list)
    for one in cells:
        groups[one["groups"], one["concentration"]].append(one)
    return {
        key: (
            statistics.fmean(one[value] for one in ones),
            math.hypot(*(one[error] for one in ones)) / len(ones),
        )
        for key, ones in groups.items()
    }


def relative_shares(cells):
    """Deviations of the effective batch from its formula."""
    measured = joined(cells, "share", "standard_error")
    return {
        (k, c): (mean / predicted_share(k, c) - 1, std / predicted_share(k, c))
        for (k, c), (mean, std) in measured.items()
    }


def agreement(paper):
    """How far and how often measurements lie off their formulas."""
    noise = paper.measured("covariance")["measured"]["cells"]
    shares = paper.measured("effective_batch")["measured"]["cells"]
    parts = {
        "trace of the covariance": joined(
            noise, "trace_error", "trace_standard_error"
        ),
        "variance in its first direction": joined(
            noise, "first_error", "first_standard_error"
        ),
        "B_eff / B": relative_shares(shares),
    }
    rows = []
    for title, found in parts.items():
        off = sum(abs(mean) > 1.96 * std for mean, std in found.values())
        worst = max(found.values(), key=lambda pair: abs(pair[0]))
        typical = statistics.median(std for _, std in found.values())
        rows.append(
            (
                title,
                f"{100 * worst[0]:+.1f} ± {100 * worst[1]:.1f} %",
                f"{100 * typical:.1f} %",
                f"{off} of {len(found)}",
                f"{0.05 * len(found):.1f}",
            )
        )
    head = ("digits (small)", "largest deviation", "median standard error")
    head += ("beyond 1.96 of them", "expected by chance")
    return markdown_table(head, rows)


def mixing_figure(paper):
    """Accuracy difference to plain averaging, by optimizer."""

    def panel(name, title):
        found = mixing_differences(paper, name)
        groups = list(dict.fromkeys(k for k, _ in found))

        def draw(axis):
            axis.axhline(0, color=INK, linewidth=1.0)
            for place, k in enumerate(groups):
                # Side by side, or the intervals would hide each other.
                shift = 1.09 ** (place - (len(groups) - 1) / 2)
                values = [found[k, c] for c in CONCENTRATIONS]
                axis.errorbar(
                    [c * shift for c in CONCENTRATIONS],
                    [100 * statistics.fmean(v) for v in values],
                    [100 * half_interval(v) for v in values],
                    **STYLES[k],
                    markersize=5,
                    linewidth=1.4,
                    capsize=2,
                    label=f"K = {k}",
                )
            logarithmic(axis, CONCENTRATIONS)
            axis.set(xlabel="concentration c", ylabel="points")

        return title, draw

    setting = (
        "Accuracy less that of plain averaging: digits (small), batch 512; "
        "95 % intervals of the differences by seed"
    )
    panels = [panel(name, title) for name, title in OPTIMIZERS.items()]
    return figure_of(panels, setting, columns=2, sharey=True)


def noise_figure(paper):
    """Trace of the noise's covariance and effective batch, and formulas."""
    noise = paper.measured("covariance")["measured"]["cells"]
    shares = paper.measured("effective_batch")["measured"]["cells"]
    # Its standard error is relative to the formula.
    error = joined(noise, "trace_error", "trace_standard_error")
    formula = joined(noise, "trace_formula", "trace_standard_error")
    trace = {
        key: (mean, error[key][1] * formula[key][0])
        for key, (mean, _) in joined(
            noise, "trace", "trace_standard_error"
        ).items()
    }
    share = joined(shares, "share", "standard_error")

    def panel(title, measured, expected, scale):
        def draw(axis):
            for k in GROUPS:
                color = STYLES[k]["color"]
                line = [expected(k, c) for c in CONCENTRATIONS]
                axis.plot(CONCENTRATIONS, line, color=color, linewidth=1.2)
                axis.errorbar(
                    CONCENTRATIONS,
                    [measured[k, c][0] for c in CONCENTRATIONS],
                    [1.96 * measured[k, c][1] for c in CONCENTRATIONS],
                    **STYLES[k],
                    linewidth=0,
                    elinewidth=1.2,
                    label=f"K = {k}",
                )
            logarithmic(axis, CONCENTRATIONS)
            axis.set(xlabel="concentration c", yscale=scale)

        return title, draw

    panels = [
        panel("trace of Cov(g)", trace, lambda k, c: formula[k, c][0], "log"),
        panel("B_eff / B", share, predicted_share, "linear"),
    ]
    setting = "Digits (small), groups of a batch of 512; lines: the formulas"
    return figure_of(panels, setting, columns=2)


PAPER = Paper(
    name="gradient_mix_2023",
    title="GradientMix (ICLR 2023 submission), with Dirichlet weights",
    folder=pathlib.Path(__file__).parent,
    comparisons=(*RATE_COMPARISONS, *MIX_COMPARISONS),
    measurements=(
        Measurement(
            "covariance",
            "noise of the mixed gradient, digits (small)",
            measure_covariance,
        ),
        Measurement(
            "effective_batch",
            "effective batch, digits (small)",
            measure_effective_batch,
        ),
    ),
    tables={
        "rates": rates,
        "mixing": mixing,
        "verdicts": verdicts,
        "agreement": agreement,
        "runs": runs_table,
    },
    figures={"mixing.png": mixing_figure, "noise.png": noise_figure},
)
