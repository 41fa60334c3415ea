"""Checks of numbers that users hand over."""

import math
from numbers import Integral, Real


def check_positive_number(name, value):
    """Raises the house error unless `value` is a finite number above 0."""
    if isinstance(value, bool) or not (
        isinstance(value, Real) and 0 < value < math.inf
    ):
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected a finite number "
            f"above 0. Received: {name}={value!r}"
        )


def check_positive_int(name, value, expected="an integer"):
    """Raises the house error unless `value` is an integer above 0."""
    if isinstance(value, bool) or not (
        isinstance(value, Integral) and value > 0
    ):
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected {expected} above "
            f"0. Received: {name}={value!r}"
        )


def check_non_negative_int(name, value):
    """Raises the house error unless `value` is an integer of at least 0."""
    if isinstance(value, bool) or not (
        isinstance(value, Integral) and value >= 0
    ):
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected an integer >= 0. "
            f"Received: {name}={value!r}"
        )


def check_fraction(name, value):
    """Raises the house error unless `value` lies in `[0, 1)`."""
    if isinstance(value, bool) or not (
        isinstance(value, Real) and 0 <= value < 1
    ):
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected a number of at "
            f"least 0, below 1. Received: {name}={value!r}"
        )


def check_non_negative_number(name, value):
    """Raises the house error unless `value` is a finite number, at least 0."""
    if isinstance(value, bool) or not (
        isinstance(value, Real) and 0 <= value < math.inf
    ):
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected a finite number "
            f">= 0. Received: {name}={value!r}"
        )


def check_choice(name, value, choices):
    """Raises the house error unless `value` is one of the `choices`."""
    if value not in choices:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected one of "
            f"{', '.join(map(repr, choices))}. Received: {name}={value!r}"
        )
