"""One worker: a process, and the processes it starts."""

import contextlib
import os
import signal
import subprocess
import time

# Seconds that killed processes may take to disappear. A container whose first
# process never collects its children keeps them for ever.
BURIAL = 2.0


class Worker:
    """A process in a process group of its own.

    Signals go to the whole group, so that the processes a worker starts (for
    loading data, say) end with it.

    Args:
        index: The worker's number.
        command: Its command line, a list of strings.
        environment: Its environment variables.
        grace: Seconds between the request to stop and SIGKILL.
    """

    def __init__(self, index, command, environment, grace):
        self.index = index
        self.grace = grace
        self.process = subprocess.Popen(
            command,
            env=environment,
            # N workers cannot share one keyboard.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        self.group = self.process.pid
        self.pipes = {
            "stdout": self.process.stdout,
            "stderr": self.process.stderr,
        }
        for pipe in self.pipes.values():
            os.set_blocking(pipe.fileno(), False)
        self.exit_code = None
        self.gone = False
        self._kill_at = None
        self._killed_at = None

    def read(self, stream):
        """Return what can be read now; `b""` at the end, `None` if nothing."""
        try:
            return os.read(self.pipes[stream].fileno(), 65536)
        except BlockingIOError:
            return None

    def stop(self, signum=signal.SIGTERM):
        """Ask the group to end; SIGKILL follows after the grace period."""
        if self._kill_at is None and not self.gone:
            self._kill_at = time.monotonic() + self.grace
            self._signal(signum)

    def kill(self):
        """Kill the group."""
        if self._killed_at is None and not self.gone:
            self._killed_at = time.monotonic()
            self._signal(signal.SIGKILL)

    def check(self):
        """Look what became of the group.

        Returns:
            Whether the worker itself has ended since the last look.
        """
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at:
            self.kill()
        ended = self.exit_code is None and self.process.poll() is not None
        if ended:
            self.exit_code = self.process.returncode
            # What it leaves behind has nobody to work for.
            self.stop()
        if self._killed_at is not None and now >= self._killed_at + BURIAL:
            self.gone = True
        elif self.exit_code is not None:
            # As a container's first process, the launcher inherits orphans.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-self.group, os.WNOHANG)
            self.gone = not self._signal(0)
        return ended

    def close(self):
        for pipe in self.pipes.values():
            pipe.close()

    def _signal(self, signum):
        """Send a signal to the group; return whether there is one."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, signum)
            return True
        return False
