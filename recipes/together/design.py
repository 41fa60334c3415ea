"""Fractional factorial designs: few runs from which effects can be told."""

import itertools
import math


def fractional_factorial(base, generators):
    """The runs of a two-level design.

    Every combination of the levels of `base` is run once. The columns of the
    generators are products of theirs, such as `F = ABCD`.

    Args:
        base: Letters of the base factors, such as `"ABCDE"`.
        generators: The word by the letter of each further factor.

    Returns:
        A list of dictionaries from letter to -1 or 1, in standard order: the
        first letter changes fastest.

    Example:

    >>> fractional_factorial("AB", {"C": "AB"})[0]
    {'A': -1, 'B': -1, 'C': 1}

    Reference: Box, Hunter and Hunter, "Statistics for Experimenters", 2nd
    edition, table 6.22.
    """
    runs = []
    for levels in itertools.product((-1, 1), repeat=len(base)):
        run = dict(zip(base, reversed(levels), strict=True))
        for letter, word in generators.items():
            run[letter] = math.prod(run[factor] for factor in word)
        runs.append(run)
    return runs
