"""Exit codes and what is said with them."""

import errno
import io
import json
import signal
import sys

import pytest
import rich.console
import typer

from keras_lbreg.cli.errors import (
    Terminated,
    make_console,
    prepare_process,
    report_errors,
)
from keras_lbreg.files import FolderInUseError


def end_with(error, **arguments):
    """The exit code of a command that raises `error`."""

    @report_errors
    def command(fresh=False, debug=False):
        raise error

    with pytest.raises(typer.Exit) as caught:
        command(**arguments)
    return caught.value.exit_code


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ValueError("No arm. Expected lr. Received: x"), 2, "Expected lr."),
        (json.JSONDecodeError("no JSON", "{", 0), 2, "no JSON"),
        (FolderInUseError("in use"), 2, "in use"),
        (
            OSError(errno.ENOENT, "No such file", "a.npz"),
            2,
            "No such file: a.npz",
        ),
        (OSError(errno.EACCES, "Permission denied", "runs"), 2, "denied: runs"),
        (OSError(errno.ENOSPC, "No space left", "/runs"), 1, "left: /runs"),
        (OSError("Worker 0 cannot listen"), 1, "cannot listen"),
        (RuntimeError("worker 1 has gone"), 1, "Unexpected RuntimeError"),
    ],
    ids=repr,
)
def test_errors(error, code, words, capsys):
    assert end_with(error) == code
    printed = capsys.readouterr().err
    assert "╭" in printed
    assert words in printed
    assert "--debug" in printed
    assert ("Unexpected" in printed) is isinstance(error, RuntimeError)


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (Terminated(), 143)]
)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "Interrupted.\n"),
        (
            {"fresh": False, "debug": True},
            "Interrupted. The same command goes on from the last saved epoch.",
        ),
        ({"fresh": True}, "The same command without --fresh goes on"),
    ],
)
def test_interruptions(error, code, arguments, words, capsys):
    assert end_with(error, **arguments) == code
    assert words in capsys.readouterr().err


def test_a_closed_pipe_ends_quietly(capsys):
    assert end_with(BrokenPipeError(errno.EPIPE, "Broken pipe")) == 141
    assert capsys.readouterr() == ("", "")


def test_a_terminal_without_utf_8(monkeypatch):
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(rich.console.Console, "on_broken_pipe", None)
    before = signal.getsignal(signal.SIGTERM)
    try:
        prepare_process()
    finally:
        signal.signal(signal.SIGTERM, before)
    make_console().print("λ, ±")
    assert written.getvalue() == b"?, ?\n"


def test_debug_raises():
    @report_errors
    def command(debug=False):
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        command(debug=True)
