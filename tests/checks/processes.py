"""Small processes for tests."""

import os
import pathlib
import signal
import sys
import textwrap
import time


def python(*codes):
    """Return a command line that runs `codes`, without site-packages."""
    program = "\n".join(textwrap.dedent(code) for code in codes)
    return [sys.executable, "-S", "-u", "-c", program]


def is_running(pid):
    """Return whether a process exists and is more than a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = pathlib.Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        # No such process any more, or no /proc on this system.
        return not pathlib.Path("/proc/self").exists()


def all_end(pids, seconds=10.0):
    """Wait until no process of `pids` runs; kill what does after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(is_running(pid) for pid in pids):
            return True
        time.sleep(0.02)
    for pid in filter(is_running, pids):
        os.kill(pid, signal.SIGKILL)
    return False
