"""How a command ends: panels instead of tracebacks, signals, exit codes."""

import functools
import io
import os
import signal
import sys

import rich.panel
import rich.text
import typer

from keras_lbreg.formatting import make_console

RUN_FAILED = 1
BAD_USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

# What a wrong argument, folder or file raises: the same command would fail
# again.
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


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends what Ctrl-C ends, in the same order."""


def prepare_process():
    """Prepares this process, which is the command's, for its end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A sign that the terminal does not have is no reason to fail.
            stream.reconfigure(errors="replace")

    # Typer prints help pages on consoles of its own.
    rich.console.Console.on_broken_pipe = end_quietly

    def terminate(signum, frame):
        raise Terminated

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminate)


def report_errors(command):
    """Turns the exceptions of a command into a panel and an exit code.

    The command takes a keyword argument `debug`; if it is true, errors pass
    through and Python prints its traceback.
    """

    @functools.wraps(command)
    def wrapper(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except typer.Exit:
            raise
        except KeyboardInterrupt as interruption:
            code = exit_code(interruption)
            words = interruption_words(kwargs)
        except BrokenPipeError:
            silence()
            raise typer.Exit(BROKEN_PIPE) from None
        except Exception as error:
            if kwargs.get("debug"):
                raise
            show_error(error)
            raise typer.Exit(exit_code(error)) from None
        make_console(stderr=True).print(words, style="yellow", soft_wrap=True)
        raise typer.Exit(code)

    return wrapper


def exit_code(error):
    """The exit code of the command that `error` has ended."""
    if isinstance(error, Terminated):
        return TERMINATED
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return BAD_USAGE if isinstance(error, USAGE_ERRORS) else RUN_FAILED


def interruption_words(arguments):
    """What is said to Ctrl-C and SIGTERM."""
    if "fresh" not in arguments:
        return "Interrupted."
    without = " without --fresh" if arguments["fresh"] else ""
    return (
        f"Interrupted. The same command{without} goes on from the last saved "
        "epoch."
    )


def end_quietly(console):
    silence()
    raise SystemExit(BROKEN_PIPE)


def silence():
    """Drops what is still to be written to a pipe that nobody reads."""
    with open(os.devnull, "w") as nowhere:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:
                os.dup2(nowhere.fileno(), stream.fileno())


def show_error(error):
    """Prints an error in a panel on stderr, user code's with its traceback."""
    console = make_console(stderr=True)
    traceback_text = getattr(error, "traceback_text", "")
    if traceback_text:
        console.print(traceback_text.rstrip(), soft_wrap=True)
    title = "Error"
    known = exit_code(error) == BAD_USAGE or isinstance(error, OSError)
    if not known:
        # A defect of ours or of a library.
        title = f"Unexpected {type(error).__name__}"
    text = rich.text.Text(describe(error))
    if not traceback_text:
        text.append("\n\nAdd --debug to see where it was raised.", style="dim")
    console.print(rich.panel.Panel(text, title=title, border_style="red"))


def describe(error):
    """The message of `error`, each sentence of the house form on a line."""
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{place}"
    message = str(error) or type(error).__name__
    for word in ("Expected", "Received"):
        message = message.replace(f". {word}", f".\n{word}")
    return message
