"""Tables of the measured noise beside its formulas."""

import collections
import math

from keras_lbreg.experiments.formatting import MISSING
from recipes.gradient_mix_2023.configuration import CONCENTRATIONS, GROUPS
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


def by_group(values, text):
    """A table with a row for each K and a column for each c."""
    rows = [
        [f"K = {k}", *(text(k, c, values[k, c]) for c in CONCENTRATIONS)]
        for k in GROUPS
    ]
    return table(["", *(f"c = {c:g}" for c in CONCENTRATIONS)], rows)


def effective_batch(study):
    """Measured `B_eff / B` beside the formula."""
    file = study.measured("effective_batch")
    if file is None:
        return f"{MISSING}\n"
    cells = file["measured"]["cells"]
    formula = {(x["groups"], x["concentration"]): x["formula"] for x in cells}

    def text(k, c, value):
        return f"{value[0]:.3f} ± {value[1]:.3f} ({formula[k, c]:.3f})"

    return by_group(joined(cells, "share", "standard_error"), text)


def beyond_two_errors(cells, value, error, expected=None):
    """How many of the K and c lie more than 1.96 standard errors off.

    Args:
        cells: The cells of a measurement.
        value: Name of the measured value.
        error: Name of its standard error.
        expected: Name of what is expected, or None for zero.

    Returns:
        The pair of how many there are, and of how many.
    """
    right = joined(cells, expected, error) if expected else {}
    off = [
        abs(mean - right.get(key, (0.0,))[0]) > 1.96 * std
        for key, (mean, std) in joined(cells, value, error).items()
    ]
    return sum(off), len(off)


def agreement(study):
    """How often formulas and measurements disagree by more than chance."""
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
        off, all_cells = beyond_two_errors(
            file["measured"]["cells"], value, error, expected
        )
        rows.append([title, f"{off} of {all_cells}", f"{0.05 * all_cells:.1f}"])
    header = ["", "beyond 1.96 standard errors", "expected by chance"]
    return table(header, rows or [[MISSING] * 3])
