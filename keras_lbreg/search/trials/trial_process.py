"""A trial in a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import warnings

# Seconds between the request to end and SIGKILL.
GRACE = 5.0
# Seconds after which a process that SIGKILL has not ended is left alone: it
# waits for a file system or a device that does not answer.
GIVE_UP = 20.0


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


def stop_processes(processes, grace=GRACE, give_up=GIVE_UP):
    """Stop some `TrialProcess`es, and wait until they have ended."""
    for process in processes:
        process.signal(signal.SIGTERM)
    begin = time.monotonic()
    while any(process.exit_code() is None for process in processes):
        waited = time.monotonic() - begin
        if waited > grace:
            for process in processes:
                process.signal(signal.SIGKILL)
        if waited > grace + give_up:
            alive = [x.group for x in processes if x.exit_code() is None]
            warnings.warn(
                f"The processes {alive} of trials could not be killed. They "
                "are left behind."
            )
            return
        time.sleep(0.02)
