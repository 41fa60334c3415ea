"""A trial in a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import time

# Seconds between the request to end and SIGKILL.
GRACE = 5.0


class TrialProcess:
    """The running program of one trial.

    What it prints goes into the trial's `log.txt`. It is in a process group
    of its own: Ctrl-C in the terminal reaches the search alone, which then
    stops its trials.

    Args:
        folder: The `TrialFolder`, with its `spec.json`.
        environment: Environment variables.

    Example:

    >>> process = TrialProcess(folder, child_environment(search))
    >>> process.exit_code()

    Reference: `keras_lbreg.search.trials.run_trial`.
    """

    def __init__(self, folder, environment):
        command = [
            "-m",
            "keras_lbreg.search.trials.run_trial",
            str(folder.path),
        ]
        with open(folder.log, "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self.group = self._process.pid

    def exit_code(self):
        """The exit code, or `None` while it runs."""
        return self._process.poll()

    def signal(self, signum):
        """Send a signal to the process and what it has started."""
        if self.exit_code() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.group, signum)


def stop_processes(processes, grace=GRACE):
    """Stop some `TrialProcess`es, and wait until they have ended."""
    for process in processes:
        process.signal(signal.SIGTERM)
    end = time.monotonic() + grace
    while any(process.exit_code() is None for process in processes):
        if time.monotonic() > end:
            for process in processes:
                process.signal(signal.SIGKILL)
        time.sleep(0.02)
