"""Checks of numbers that users hand over."""

import difflib
import math
from numbers import Integral, Real


def invalid(name, expected, value):
    """The house error about the value of an argument, to be raised."""
    return ValueError(
        f"Invalid value for argument `{name}`. Expected {expected}. Received: "
        f"{name}={value!r}"
    )


def is_number(value, kind=Real):
    return isinstance(value, kind) and not isinstance(value, bool)


def check_positive_number(name, value):
    """Raises the house error unless `value` is a finite number above 0."""
    if not (is_number(value) and 0 < value < math.inf):
        raise invalid(name, "a finite number above 0", value)


def check_positive_int(name, value, expected="an integer"):
    """Raises the house error unless `value` is an integer above 0."""
    if not (is_number(value, Integral) and value > 0):
        raise invalid(name, f"{expected} above 0", value)


def check_non_negative_int(name, value):
    """Raises the house error unless `value` is an integer of at least 0."""
    if not (is_number(value, Integral) and value >= 0):
        raise invalid(name, "an integer >= 0", value)


def check_fraction(name, value):
    """Raises the house error unless `value` lies in `[0, 1)`."""
    if not (is_number(value) and 0 <= value < 1):
        raise invalid(name, "a number of at least 0, below 1", value)


def check_non_negative_number(name, value):
    """Raises the house error unless `value` is a finite number, at least 0."""
    if not (is_number(value) and 0 <= value < math.inf):
        raise invalid(name, "a finite number >= 0", value)


def check_choice(name, value, choices):
    """Raises the house error unless `value` is one of the `choices`."""
    if value not in choices:
        names = ", ".join(map(repr, choices))
        raise invalid(name, f"one of {names}", value)


def did_you_mean(word, words):
    """The question whether a word that is close to it was meant, or `""`."""
    close = difflib.get_close_matches(word, words, 1)
    return f" Did you mean {close[0]!r}?" if close else ""
