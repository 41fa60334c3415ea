"""Numbers as the table, the plots and the report print them."""

import math

MISSING = "–"


def format_mean(mean, std=None, decimals=1, signed=False):
    """Return `mean` as text, with `± std` where a spread is known."""
    if mean is None:
        return MISSING
    # Rounding first keeps "-0.0" out of the table.
    mean = round(mean, decimals) + 0.0
    text = f"{mean:{'+' if signed else ''}.{decimals}f}"
    return text if std is None else f"{text} ± {std:.{decimals}f}"


def decimals_for(stds):
    """Return one or two decimals, whichever the spread of the seeds merits."""
    stds = sorted(std for std in stds if std is not None)
    if not stds:
        return 1
    return 2 if stds[len(stds) // 2] < 0.15 else 1


def format_count(count):
    """Return `12345` as `12,345`."""
    return MISSING if count is None else f"{round(count):,}"


def format_duration(seconds):
    """Return seconds as `0.8 s`, `42 s`, `3 min 05 s` or `2 h 10 min`."""
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
    """Return a learning rate with three significant digits."""
    return MISSING if rate is None else f"{rate:.3g}"


def join_words(words):
    """Return `a`, `a and b` or `a, b and c`."""
    words = list(words)
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
