"""Errors at the command line: one red panel instead of a traceback."""

import functools

import rich.panel
import rich.text
import typer

from keras_lbreg.cli.console import make_console

RUN_FAILED = 1
BAD_USAGE = 2
INTERRUPTED = 130

# What a wrong argument, folder or file raises: the same command would fail
# again, and `lbreg launch --restarts` does not repeat it.
USAGE_ERRORS = (
    ValueError,
    TypeError,
    ImportError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


def report_errors(command):
    """Turn the exceptions of a command into a panel and an exit code.

    The command takes a keyword argument `debug`; if it is true, exceptions
    pass through and Python prints its traceback.
    """

    @functools.wraps(command)
    def wrapper(*args, debug=False, **kwargs):
        if debug:
            return command(*args, debug=debug, **kwargs)
        try:
            return command(*args, debug=debug, **kwargs)
        except typer.Exit:
            raise
        except USAGE_ERRORS as error:
            show_error(error)
            raise typer.Exit(BAD_USAGE) from None
        except OSError as error:
            # It may pass: a full disk, a port in use, a network that is down.
            show_error(error)
            raise typer.Exit(RUN_FAILED) from None
        except KeyboardInterrupt:
            make_console(stderr=True).print("Interrupted.", style="yellow")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            # A defect of ours or of a library.
            show_error(error, title=f"Unexpected {type(error).__name__}")
            raise typer.Exit(RUN_FAILED) from None

    return wrapper


def show_error(error, title="Error"):
    """Print `error` in a red panel on stderr."""
    console = make_console(stderr=True)
    text = rich.text.Text(describe(error))
    text.append("\n\nAdd --debug to see where it was raised.", style="dim")
    console.print(rich.panel.Panel(text, title=title, border_style="red"))


def describe(error):
    """Return the message of `error`, one sentence of the house form a line."""
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{place}"
    message = str(error) or type(error).__name__
    for word in ("Expected", "Received"):
        message = message.replace(f". {word}", f".\n{word}")
    return message
