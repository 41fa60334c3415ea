"""Tables of the measured noise beside its formulas."""

import collections
import math
import statistics

from keras_lbreg.formatting import MISSING
from recipes.study.cells import table


def joined(cells, value, error):
    """Mean over seeds by K and c, with its standard error."""
    groups = collections.defaultdict(list)
    for one in cells:
        groups[one["groups"], one["concentration"]].append(one)
    return {
        key: (
            sum(one[value] for one in ones) / len(ones),
            math.sqrt(sum(one[error] ** 2 for one in ones)) / len(ones),
        )
        for key, ones in groups.items()
    }


def deviations(cells, value, error, expected=None):
    """Relative deviations from the formula by K and c.

    Args:
        cells: The cells of a measurement.
        value: Name of the measured value.
        error: Name of its standard error.
        expected: Name of what is expected, or None where the value is a
            relative deviation already.

    Returns:
        Pairs of a deviation and its standard error, by K and c.
    """
    measured = joined(cells, value, error)
    if expected is None:
        return measured
    right = joined(cells, expected, error)
    return {
        key: (mean / right[key][0] - 1, std / right[key][0])
        for key, (mean, std) in measured.items()
    }


def agreement(study):
    """How far and how often measurements lie off their formulas."""
    rows = []
    for name, title, value, error, expected in (
        (
            "covariance",
            "trace of the covariance",
            "trace_error",
            "trace_standard_error",
            None,
        ),
        (
            "covariance",
            "variance in its first direction",
            "first_error",
            "first_standard_error",
            None,
        ),
        (
            "effective_batch",
            "B_eff / B",
            "share",
            "standard_error",
            "formula",
        ),
    ):
        file = study.measured(name)
        if file is None:
            continue
        found = deviations(file["measured"]["cells"], value, error, expected)
        off = sum(abs(mean) > 1.96 * std for mean, std in found.values())
        worst = max(found.values(), key=lambda pair: abs(pair[0]))
        typical = statistics.median(std for _, std in found.values())
        rows.append(
            [
                title,
                f"{100 * worst[0]:+.1f} ± {100 * worst[1]:.1f} %",
                f"{100 * typical:.1f} %",
                f"{off} of {len(found)}",
                f"{0.05 * len(found):.1f}",
            ]
        )
    header = [
        "digits (small)",
        "largest deviation",
        "median standard error",
        "beyond 1.96 of them",
        "expected by chance",
    ]
    return table(header, rows or [[MISSING] * len(header)])
