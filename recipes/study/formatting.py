"""Numbers as recipes' tables print them."""

import math

MISSING = "–"


def format_stat(stat, decimals=1, scale=1.0, signed=False):
    """A `Stat` as `mean ± std`, or `mean` alone for a single seed."""
    if math.isnan(stat.mean):
        return MISSING
    # Adding zero after rounding keeps "-0.0" out of the table.
    mean = round(scale * stat.mean, decimals) + 0.0
    text = f"{mean:{'+' if signed else ''}.{decimals}f}"
    if math.isnan(stat.std):
        return text
    return f"{text} ± {scale * stat.std:.{decimals}f}"


def format_count(count):
    """`12345` as `12,345`."""
    return MISSING if math.isnan(count) else f"{round(count):,}"


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


def markdown(head, rows, rule=None):
    """A Markdown table; the first column to the left, the others right."""
    rule = rule or [":--", *["--:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))
