"""Signals to this process, noted for the main loop."""

import os
import signal

STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")


class ReceivedSignals:
    """Collects the signals that ask this process to stop.

    A signal that is ignored already stays so: `nohup` ignores SIGHUP, and a
    shell script ignores SIGINT for what it runs in the background. Use it as
    a context manager, in the main thread.

    Its file descriptor becomes readable on such a signal, and when a child
    process ends: a `select` need not wait for its timeout to notice them.
    """

    def __enter__(self):
        self._received = []
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._previous_fd = signal.set_wakeup_fd(self._writer)
        self._previous = {
            # Python tells the descriptor of handled signals only.
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, ignore)
        }
        for name in STOPPING:
            signum = getattr(signal, name)
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._previous[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(self, *exception):
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self):
        return self._reader

    def take(self):
        """Return the first signal since the last call, or `None`.

        Several at once are one request: a terminal sends Ctrl-C to all of a
        pipeline, and a wrapper script may pass it on once more.
        """
        try:
            while os.read(self._reader, 4096):
                pass
        except BlockingIOError:
            pass
        first = self._received[0] if self._received else None
        self._received.clear()
        return first

    def _note(self, signum, frame):
        self._received.append(signum)


def ignore(signum, frame):
    """Do nothing. Unlike `SIG_IGN`, leave the child to be waited for."""
