"""The chief of a search on several machines: it runs no trial."""

import time

from keras_lbreg.search.chief_desk import ChiefDesk
from keras_lbreg.search.inbox import Inbox
from keras_lbreg.search.keras_tuner_hooks import serve_oracle

# Seconds without any worker after which the chief gives up.
PATIENCE = 600.0
# Seconds between two looks at the signals that have come.
TURN = 0.2


def run_chief(role, book, listener, patience=PATIENCE):
    """Hand out the trials to workers until all have ended.

    Args:
        role: The `SearchRole`.
        book: The `TrialBook`.
        listener: Tells whether to stop, see `listen`.
        patience: Seconds to wait for workers when there are none.

    Returns:
        Whether it came to the end.

    Raises:
        ConnectionError: There was no worker for too long.
        OSError: The address is not this machine's, or in use.

    Example:

    >>> with listen() as listener:
    ...     run_chief(role, book, listener)

    Reference: https://keras.io/keras_tuner/guides/distributed_tuning
    """
    inbox, desk = Inbox(), ChiefDesk(book)
    last_seen = time.monotonic()
    with serve_oracle(desk, inbox, role.address):
        while not desk.ended:
            inbox.work(TURN)
            if listener.wait(0):
                return False
            if desk.present:
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > patience:
                raise ConnectionError(
                    f"No worker of the search has called {role.address} for "
                    f"{patience:.0f} seconds. Start the same command on other "
                    "machines, with another KERASTUNER_TUNER_ID on each. "
                    "Nothing is lost: the chief goes on where it stopped."
                )
    return True
