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
from recipes.figures import figure_of, logarithmic
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
            text = f"{rate:g}: {format_stat(Stat.of(values), 1, 100)}"
            row.append(f"**{text}**" if rate == TUNED[name] else text)
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


def verdicts(paper):
    """How many of all comparisons exceed chance."""
    rows = []
    everything = {
        title: list(mixing_differences(paper, name).values())
        for name, title in OPTIMIZERS.items()
    }
    means = {title: np.mean(v, axis=0) for title, v in everything.items()}
    everything["all"] = [v for found in everything.values() for v in found]
    for title, found in everything.items():
        judged = list(map(verdict, found))
        rows.append(
            (
                title,
                len(found),
                judged.count("better"),
                judged.count("worse"),
                f"{0.05 * len(found):.1f}",
                sum(holm([t_test(values)[1] for values in found])),
                gain_cell(means.get(title, ()), count=False) or MISSING,
            )
        )
    head = ("optimizer", "comparisons", "better", "worse")
    head += ("expected by chance", "left by Holm's method", "mean of all")
    return markdown_table(head, rows)


def joined(paper, name, value, error):
    """Mean and standard error over a measurement's seeds, by K and c."""
    groups = collections.defaultdict(list)
    for one in paper.measured(name)["measured"]["cells"]:
        groups[one["groups"], one["concentration"]].append(one)
    return {
        key: (
            statistics.fmean(one[value] for one in ones),
            math.hypot(*(one[error] for one in ones)) / len(ones),
        )
        for key, ones in groups.items()
    }


def noise_errors(paper, kind):
    """Deviations of the covariance's `"trace"` or `"first"` direction."""
    numbers = f"{kind}_error", f"{kind}_standard_error"
    return joined(paper, "covariance", *numbers)


def effective_shares(paper):
    return joined(paper, "effective_batch", "share", "standard_error")


def agreement(paper):
    """How far and how often measurements lie off their formulas."""
    parts = {
        "trace of the covariance": noise_errors(paper, "trace"),
        "variance in its first direction": noise_errors(paper, "first"),
        "B_eff / B": {
            key: (mean / predicted_share(*key) - 1, std / predicted_share(*key))
            for key, (mean, std) in effective_shares(paper).items()
        },
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
                means = [100 * statistics.fmean(v) for v in values]
                low, high = np.transpose([t_test(v)[0] for v in values])
                halves = 100 * (high - low) / 2
                places = [c * shift for c in CONCENTRATIONS]
                look = {"markersize": 5, "linewidth": 1.4, "capsize": 2}
                look |= {"label": f"K = {k}", **STYLES[k]}
                axis.errorbar(places, means, halves, **look)
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
    trace, formula = (
        joined(paper, "covariance", name, "trace_standard_error")
        for name in ("trace", "trace_formula")
    )
    # The standard error is relative to the formula.
    trace = {k: (v, std * formula[k][0]) for k, (v, std) in trace.items()}

    def panel(title, measured, expected, scale):
        def draw(axis):
            for k in GROUPS:
                line = [expected(k, c) for c in CONCENTRATIONS]
                look = {"color": STYLES[k]["color"], "linewidth": 1.2}
                axis.plot(CONCENTRATIONS, line, **look)
                found = [measured[k, c] for c in CONCENTRATIONS]
                means, errors = np.transpose(found)
                look = {"linewidth": 0, "elinewidth": 1.2, **STYLES[k]}
                bars = CONCENTRATIONS, means, 1.96 * errors
                axis.errorbar(*bars, label=f"K = {k}", **look)
            logarithmic(axis, CONCENTRATIONS)
            axis.set(xlabel="concentration c", yscale=scale)

        return title, draw

    shares = effective_shares(paper)
    panels = [
        panel("trace of Cov(g)", trace, lambda k, c: formula[k, c][0], "log"),
        panel("B_eff / B", shares, predicted_share, "linear"),
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
