"""Kills child processes when their parent is gone.

A program of its own: `python guardian.py` reads `+PID` and `-PID` lines, the
process groups to guard and to forget. The end of its input means that the
parent has ended, however it ended; what is still guarded then is killed.
"""

import contextlib
import os
import signal
import subprocess
import sys


class Guardian:
    """Starts the guarding program, and tells it whom to guard.

    A parent that is killed with SIGKILL cannot stop its children, and an
    operating system keeps them running. This works wherever there are
    process groups, and reaches the children's own children too. Use it as a
    context manager.

    Example:

    >>> with Guardian() as guardian:
    ...     child = subprocess.Popen(command, process_group=0)
    ...     guardian.guard(child.pid)
    ...     child.wait()
    ...     guardian.forget(child.pid)

    Reference: `os.killpg`.
    """

    def __enter__(self):
        self._process = subprocess.Popen(
            # Isolated and without site-packages: it starts in milliseconds.
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A signal to the parent's group or terminal is not for it.
            start_new_session=True,
        )
        return self

    def __exit__(self, *exception):
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def guard(self, group):
        """Guard a process group, given by its number."""
        self._tell(f"+{group}\n")

    def forget(self, group):
        """Guard a process group no longer: it has ended."""
        self._tell(f"-{group}\n")

    def _tell(self, line):
        # Without its guardian, a parent still stops its children itself.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


def watch(lines):
    """Kill the process groups that remain at the end of `lines`."""
    groups = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    watch(sys.stdin)
