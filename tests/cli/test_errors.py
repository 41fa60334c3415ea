import errno
import json
import time

import pytest
import typer

from keras_lbreg.cli.errors import report_errors
from keras_lbreg.distribute.cluster import Cluster
from keras_lbreg.distribute.rendezvous import listen


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
        (RuntimeError("worker 1 has gone"), 1),
    ],
    ids=repr,
)
def test_exit_codes(error, code, capsys):
    assert fail_with(error) == code
    printed = capsys.readouterr().err
    assert "╭" in printed
    assert ("Unexpected" in printed) is isinstance(error, RuntimeError)


def test_a_port_in_use_is_no_mistake_of_the_command():
    free = Cluster(("127.0.0.1:0", "127.0.0.1:1"), 0)
    with listen(free, time.monotonic()) as listener:
        port = listener.getsockname()[1]
        taken = Cluster((f"127.0.0.1:{port}", "127.0.0.1:1"), 0)
        with pytest.raises(OSError, match=f"port {port}") as caught:
            listen(taken, time.monotonic())
        assert fail_with(caught.value) == 1
