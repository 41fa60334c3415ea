import errno
import json

import pytest
import typer

from keras_lbreg.cli.errors import report_errors


def fail_with(error):
    """The exit code of a command that raises `error`."""

    @report_errors
    def command(debug=False):
        raise error

    with pytest.raises(typer.Exit) as caught:
        command()
    return caught.value.exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("no such arm"), 2),
        (json.JSONDecodeError("no JSON", "{", 0), 2),
        (OSError(errno.ENOENT, "No such file", "data.npz"), 2),
        (OSError(errno.EACCES, "Permission denied", "runs"), 2),
        # What `lbreg launch --restarts` tries again.
        (OSError(errno.ENOSPC, "No space left on device", "runs"), 1),
        (OSError(errno.EIO, "Input/output error"), 1),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Refused"), 1),
        # What the strategy of several workers raises at its start.
        (OSError("Worker 0 cannot listen at host0:2222"), 1),
        (TimeoutError("The cluster is not complete"), 1),
        (RuntimeError("worker 1 has gone"), 1),
    ],
    ids=repr,
)
def test_exit_codes(error, code, capsys):
    assert fail_with(error) == code
    printed = capsys.readouterr().err
    assert "╭" in printed
    assert ("Unexpected" in printed) is isinstance(error, RuntimeError)
