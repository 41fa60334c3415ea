"""The terminal: one console for output, one for errors."""

import rich.console

# Rich renders at 80 columns where it finds no terminal; a log file or a CI
# page has more room, and a wrapped table is unreadable.
MINIMUM_WIDTH = 120


def make_console(stderr=False):
    """Return a console on the current stdout or stderr.

    Made on each call and not at import, so that a replaced `sys.stdout`
    (a test, a notebook) is honoured.
    """
    console = rich.console.Console(stderr=stderr, highlight=False)
    if not console.is_terminal and console.width < MINIMUM_WIDTH:
        console.width = MINIMUM_WIDTH
    return console
