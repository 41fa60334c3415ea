"""What the workers print, on this terminal and in their log files."""

import contextlib
import pathlib
import sys
import time

from keras_lbreg.cli.console import make_console
from keras_lbreg.cli.launcher.line_buffer import LineBuffer

# No red: that is the colour of errors.
COLORS = ("cyan", "magenta", "green", "blue", "yellow")
STREAMS = ("stdout", "stderr")


class WorkerOutput:
    """Prints the lines of several workers, each behind its worker's name.

    Lines are printed whole, stdout on stdout and stderr on stderr. Use it as
    a context manager.

    Args:
        workers: Number of workers.
        log_dir: Folder in which every worker's output is also written, as it
            came, to `worker-N.log`. A log of an earlier launch is continued.
    """

    def __init__(self, workers, log_dir=None):
        self.workers = workers
        self.log_dir = None if log_dir is None else pathlib.Path(log_dir)
        self.prefixes = {
            (worker, stream): make_prefix(worker, stream)
            for worker in range(workers)
            for stream in STREAMS
        }
        self.lines = {key: LineBuffer() for key in self.prefixes}
        self.logs = []
        self._files = contextlib.ExitStack()

    def __enter__(self):
        if self.log_dir is not None:
            self.log_dir.mkdir(parents=True, exist_ok=True)
            self.logs = [
                self._files.enter_context(
                    self._log_path(worker).open("ab", buffering=0)
                )
                for worker in range(self.workers)
            ]
        return self

    def __exit__(self, *exception):
        self._files.close()

    def begin(self, command):
        """Head the log files of a new set of workers."""
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        for log in self.logs:
            log.write(f"=== {now}: {command}\n".encode())

    def write(self, worker, stream, data):
        """Take bytes that a worker wrote."""
        if self.logs:
            self.logs[worker].write(data)
        self._print(worker, stream, self.lines[worker, stream].feed(data))

    def flush(self, worker):
        """Print a worker's last lines, ended or not."""
        for stream in STREAMS:
            self._print(worker, stream, self.lines[worker, stream].flush())

    def _log_path(self, worker):
        return self.log_dir / f"worker-{worker}.log"

    def _print(self, worker, stream, lines):
        if not lines:
            return
        prefix = self.prefixes[worker, stream]
        file = getattr(sys, stream).buffer
        # One write for all: other writers to this terminal do not get between.
        try:
            file.write(b"".join(prefix + line + b"\n" for line in lines))
            file.flush()
        except BrokenPipeError:
            # As rich does for the other commands: end without a traceback.
            make_console().on_broken_pipe()


def make_prefix(worker, stream):
    """Return `[worker 0] ` in the worker's colour, if the stream shows it."""
    console = make_console(stderr=stream == "stderr")
    with console.capture() as captured:
        console.print(
            f"[worker {worker}]",
            style=COLORS[worker % len(COLORS)],
            markup=False,
            end="",
        )
    return captured.get().encode() + b" "
