"""Calls from other threads, carried out one by one in the main thread."""

import contextlib
import queue
import time
from concurrent import futures


class Inbox:
    """Lets a thread call a method in another thread, and wait for its result.

    What keeps the books of a search then needs no locks, and whoever shows
    them is called in the thread that asked for the search.

    Args:
        answers: Exceptions that a function may answer with. Any other one
            ends the main thread's work, and the caller gets none.
        timeout: Seconds to wait for a result.

    Example:

    >>> inbox = Inbox()
    >>> inbox.call(desk.greet, caller)  # in a thread of the server
    >>> inbox.work(seconds=0.2)  # in the main thread

    Reference: `queue.SimpleQueue`.
    """

    def __init__(self, answers=(), timeout=10.0):
        self.answers = answers
        self.timeout = timeout
        self._calls = queue.SimpleQueue()
        self._closed = False

    def call(self, function, *args):
        """Have the function called by `work`, and return its result.

        Raises:
            TimeoutError: It was not called in time, and will not be.
        """
        result = futures.Future()
        if self._closed:
            raise TimeoutError("The inbox is closed.")
        self._calls.put((result, function, args))
        try:
            return result.result(self.timeout)
        except (TimeoutError, futures.CancelledError):
            if result.cancel():
                raise TimeoutError("Nobody took the call.") from None
            # It has been begun: its result will come.
            return result.result()

    @property
    def waiting(self):
        """Number of calls that wait."""
        return self._calls.qsize()

    def work(self, seconds):
        """Carry out the calls that come within so many seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                result, function, args = self._calls.get(timeout=left)
            except queue.Empty:
                return
            if not result.set_running_or_notify_cancel():
                continue
            try:
                value = function(*args)
            except self.answers as error:
                result.set_exception(error)
            except BaseException:
                result.set_exception(TimeoutError("The work has ended."))
                raise
            else:
                result.set_result(value)

    def close(self):
        """Refuse the calls that wait, and those to come."""
        self._closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._calls.get_nowait()[0].cancel()
