"""Words of `lbreg tune` that stand for more than one value."""

import ast
import math
import re

from keras_lbreg.cli.options import parse_settings
from keras_lbreg.techniques import SearchRange

NO_FACTOR = "none"
BUDGET = re.compile(
    r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?"
    r"(?:(?P<s>\d+(?:\.\d+)?)s)?"
)
SECONDS = {"h": 3600, "m": 60, "s": 1}


def parse_batch_sizes(text):
    """Parse `"1024,4096"` to `(1024, 4096)`, and `None` to `()`."""
    if text is None:
        return ()
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise ValueError(
            "Invalid value for option `--batch-size`. Expected an integer, or "
            "several with commas between them, such as 1024,4096. Received: "
            f"{text}"
        ) from None


def parse_budget(text):
    """Parse `"1h30m"` to seconds; `None` stays `None`."""
    if text is None:
        return None
    match = BUDGET.fullmatch(text)
    parts = match.groupdict() if match else {}
    seconds = sum(SECONDS[k] * float(v) for k, v in parts.items() if v)
    if not seconds:
        raise ValueError(
            "Invalid value for option `--budget`. Expected a time with its "
            f"units, such as 90s, 30m, 2h or 1h30m. Received: {text}"
        )
    return seconds


def parse_factor(text):
    """Parse `"0.25..4"` to `(0.25, 4.0)` and `"none"` to `None`."""
    if text.lower() == NO_FACTOR:
        return None
    try:
        low, high = map(float, text.split(".."))
    except ValueError:
        low = high = math.nan
    if not 0 < low < high < math.inf:
        raise ValueError(
            "Invalid value for option `--learning-rate-factor`. Expected the "
            "smallest and the largest factor, both positive, such as 0.25..4, "
            f"or {NO_FACTOR}. Received: {text}"
        )
    return low, high


def parse_ranges(ranges, settings):
    """Parse what `--range` and `--set` say into ranges of a search.

    Args:
        ranges: Texts such as `"dreg.weight=0.01..1:log"`,
            `"lr_scaling.warmup_epochs=0..3"` (integers) and
            `"dreg.layer=dense_1,dense_2"` (choices), or `None`.
        settings: Texts such as `"dreg.distance=bounded"`: one value.

    Returns:
        By technique and hyperparameter a `SearchRange` or a tuple of choices.
    """
    parsed = {
        name: {key: (value,) for key, value in values.items()}
        for name, values in parse_settings(settings).items()
    }
    for text in ranges or ():
        path, equals, values = text.partition("=")
        name, dot, key = path.partition(".")
        if not (equals and dot and name and key and values):
            complain(text, "no TECHNIQUE.NAME=VALUES")
        if key in parsed.get(name, {}):
            complain(text, f"{path} has values already")
        parsed.setdefault(name, {})[key] = parse_values(text, values)
    return parsed


def parse_values(text, values):
    """Parse `"1..8"`, `"0.01..1:log"` or `"a,b"`."""
    bounds, colon, scale = values.partition(":")
    low, dots, high = bounds.partition("..")
    if not dots:
        return tuple(parse_word(text, word) for word in values.split(","))
    if colon and scale != "log":
        complain(text, f"the scale {scale!r}")
    low, high = parse_word(text, low), parse_word(text, high)
    if not (is_number(low) and is_number(high)):
        complain(text, "a bound is no number")
    if not low < high:
        complain(text, "the lowest value is not below the highest")
    if colon and low <= 0:
        complain(text, "0 and below have no logarithm")
    if isinstance(low, float) or isinstance(high, float):
        low, high = float(low), float(high)
    return SearchRange(low, high, log=bool(colon))


def parse_word(text, word):
    """A number or, where it is none, the word itself."""
    word = word.strip()
    if not word:
        complain(text, "a value is missing")
    try:
        return ast.literal_eval(word)
    except (SyntaxError, ValueError):
        return word


def is_number(value):
    """Whether it is a finite number."""
    kind = isinstance(value, (int, float)) and not isinstance(value, bool)
    return kind and math.isfinite(value)


def complain(text, why):
    raise ValueError(
        "Invalid value for option `--range`. Expected "
        "TECHNIQUE.NAME=LOWEST..HIGHEST, with `:log` behind it for a "
        "logarithmic scale, or TECHNIQUE.NAME=A,B,C, such as "
        f"dreg.weight=0.01..1:log. Received: {text} ({why})"
    )
