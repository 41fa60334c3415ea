"""Numbers as tables, plots and the terminal print them."""

import math

MISSING = "–"


def is_missing(number):
    return number is None or math.isnan(number)


def format_count(count):
    """`12345` as `12,345`."""
    return MISSING if is_missing(count) else f"{round(count):,}"


def format_duration(seconds):
    """Seconds as `0.8 s`, `42 s`, `3 min 05 s` or `2 h 10 min`."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def format_rate(rate):
    """A learning rate with three significant digits."""
    return MISSING if is_missing(rate) else f"{rate:.3g}"


def format_significant(number, digits=4):
    """`0.012345` as `0.01235`, `2900` as `2,900`, `1e9` as `1.000e+09`."""
    if is_missing(number):
        return MISSING
    if not math.isfinite(number) or number == 0:
        return f"{number:g}"
    decimals = digits - 1 - math.floor(math.log10(abs(number)))
    if not -3 < decimals < digits + 4:
        return f"{number:.{digits - 1}e}"
    return f"{number:,.{max(decimals, 0)}f}"
