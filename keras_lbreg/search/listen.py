"""Listen to the signals that ask a search to stop."""

import contextlib
import selectors
import threading
import time

from keras_lbreg.processes.received_signals import ReceivedSignals


@contextlib.contextmanager
def listen():
    """Listen to signals while the context is entered.

    Only the main thread can: in another one, a `Deaf` listener is returned.

    Example:

    >>> with listen() as listener:
    ...     while not listener.wait(0.2):
    ...         look_after_trials()

    Reference: `ReceivedSignals`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Deaf()
        return
    with ReceivedSignals() as received, selectors.DefaultSelector() as selector:
        selector.register(received, selectors.EVENT_READ)
        yield Listener(received, selector)


class Listener:
    """Waits, but not when a signal comes or a child process ends."""

    def __init__(self, received, selector):
        self._received = received
        self._selector = selector

    def wait(self, seconds):
        """Wait; return whether this process is asked to stop."""
        self._selector.select(seconds)
        return self._received.take() is not None


class Deaf:
    """Waits."""

    def wait(self, seconds):
        time.sleep(seconds)
        return False
