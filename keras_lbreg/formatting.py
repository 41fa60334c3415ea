"""Numbers, tables and errors as files and the terminal print them."""

import math
import re

import rich.console

MISSING = "–"

# Rich renders at 80 columns where it finds no terminal; a log file or a CI
# page has more room, and a wrapped table is unreadable.
MINIMUM_WIDTH = 120


class Console(rich.console.Console):
    """A console that leaves a closed pipe to its caller."""

    def on_broken_pipe(self):
        raise


def make_console(stderr=False):
    """A console on the present stdout or stderr."""
    # Not markup: a layer or a file may be called anything.
    console = Console(stderr=stderr, markup=False, highlight=False)
    if not console.is_terminal and console.width < MINIMUM_WIDTH:
        console.width = MINIMUM_WIDTH
    return console


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
    minutes, seconds = divmod(round(seconds), 60)
    if not minutes:
        return f"{seconds} s"
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


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


def markdown_table(columns, rows):
    """A Markdown table; the first column to the left, the others right."""
    rule = [":--", *["--:"] * (len(columns) - 1)]
    cells = [[str(c).replace("|", "\\|") for c in row] for row in rows]
    lines = (columns, rule, *cells)
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


def rich_table(columns, rows, left=1):
    """A table for a terminal; the first `left` columns to the left."""
    import rich.box
    import rich.table
    import rich.text

    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1))
    for place, name in enumerate(columns):
        side = "left" if place < left else "right"
        # A name is copied from here.
        table.add_column(name, justify=side, no_wrap=place == 0)
    for row in rows:
        # Not markup: a layer or a file may be called anything.
        table.add_row(*map(rich.text.Text, row))
    return table


def reason(error):
    """The sentence of an error that says what is wrong.

    Keras puts where it was raised before it, and colours; TensorFlow adds the
    nodes of its graph.
    """
    text = re.sub(r"\x1b\[\d+m|\{\{.*?\}\} ?", "", str(error)).strip()
    lines = [
        line
        for line in text.splitlines()
        if line.strip() and not line.startswith("Exception encountered")
    ]
    first = lines[0] if lines else type(error).__name__
    return first.partition(". ")[0].rstrip(".")
