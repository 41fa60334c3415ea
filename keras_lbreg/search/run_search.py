"""Search for good settings, one process for each trial."""

import contextlib
import selectors
import threading
import time

from keras_lbreg.processes.guardian import Guardian
from keras_lbreg.processes.received_signals import ReceivedSignals
from keras_lbreg.search.check_in_child import check_in_child
from keras_lbreg.search.events import SearchEnded, SearchStarted
from keras_lbreg.search.local_desk import LocalDesk
from keras_lbreg.search.search_folder import SearchFolder
from keras_lbreg.search.trial_book import TrialBook
from keras_lbreg.search.trial_loop import TrialLoop

# Seconds between two looks at the trials.
PAUSE = 0.2


def run_search(search, on_event=None, fresh=False):
    """Run the trials of a search, or those that are left.

    Each trial is a process, which is given a configuration and goes on from
    its checkpoints if it was begun before. This process only decides what to
    try next, and writes down what comes out. Called again after an
    interruption, however rude, it goes on where it stopped. `trials`,
    `budget`, `workers` and `confirm_seeds` may be others then.

    Args:
        search: The `Search`.
        on_event: Called with the objects of `keras_lbreg.search.events`, in
            the calling thread.
        fresh: Whether to delete an earlier search in the same folder first.

    Returns:
        A `SearchResults`.

    Raises:
        ValueError: The search has a mistake, or its folder holds another
            search. No trial was started.
        KeyboardInterrupt: This process was asked to stop (SIGINT, SIGTERM).
            The same call goes on where it stopped.

    Example:

    >>> results = run_search(Search("digits", trials=10))
    >>> results.best.configuration

    Reference: https://keras.io/keras_tuner
    """
    on_event = on_event or ignore
    facts = check_in_child(search)
    with SearchFolder(search, facts, fresh) as folder:
        book = TrialBook(search, folder.manifest, folder.path, on_event)
        on_event(
            SearchStarted(
                search,
                book.results(),
                folder.manifest["space"],
                folder.manifest["resolved"]["epochs"],
            )
        )
        with (
            Guardian() as guardian,
            listen() as listener,
            TrialLoop(
                search,
                folder.manifest,
                folder.path,
                book.space,
                LocalDesk(book),
                guardian,
            ) as loop,
        ):
            while True:
                loop.step()
                if loop.ended:
                    break
                if listener.wait(PAUSE):
                    book.interrupt()
                    raise KeyboardInterrupt
        book.end_search()
        results = book.results()
    on_event(SearchEnded(results))
    return results


@contextlib.contextmanager
def listen():
    """Listen to signals; only the main thread can."""
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


def ignore(event):
    """Nobody listens to the events."""
