"""The chief of a search on several machines: it runs no trial."""

import logging

from keras_lbreg.search.machines.attentive_clock import AttentiveClock
from keras_lbreg.search.machines.chief_desk import ChiefDesk
from keras_lbreg.search.machines.chief_errors import TrialTakenError
from keras_lbreg.search.machines.inbox import Inbox
from keras_lbreg.search.machines.keras_tuner_hooks import serve_oracle

logger = logging.getLogger("keras_lbreg")

# Seconds without any worker after which the chief says so, and gives up.
REMINDER = 15.0
PATIENCE = 600.0
START_WORKERS = (
    "Start the same command on the workers, each with a KERASTUNER_TUNER_ID "
    "of its own."
)
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
    inbox, clock = Inbox(TrialTakenError), AttentiveClock()
    desk = ChiefDesk(book, clock=clock)
    last_seen, told = clock(), False
    with serve_oracle(desk, inbox, role.address):
        while not desk.ended:
            inbox.work(TURN)
            clock.turn()
            if listener.wait(0):
                return False
            if desk.present:
                last_seen, told = clock(), False
                continue
            silence = clock() - last_seen
            if silence > patience:
                raise ConnectionError(
                    f"No worker of the search has called {role.address} for "
                    f"{patience:.0f} seconds. {START_WORKERS} Nothing is "
                    "lost: the chief goes on where it stopped."
                )
            if silence > REMINDER and not told:
                logger.warning(
                    "No worker calls %s. %s", role.address, START_WORKERS
                )
                told = True
    return True
