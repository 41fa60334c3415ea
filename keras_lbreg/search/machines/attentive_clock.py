"""A clock for those who wait for messages."""

import time

# A turn of the main loop is shorter, unless something holds it up.
LONGEST_TURN = 1.0


class AttentiveClock:
    """Counts the seconds in which messages could have been read.

    While a tuner computes for a minute what to try next, or the machine
    sleeps, nobody is heard; that makes nobody silent.

    Args:
        clock: Function that returns seconds.

    Example:

    >>> clock = AttentiveClock()
    >>> while True:
    ...     read_messages(seconds=0.2)
    ...     clock.turn()

    Reference: `ChiefDesk`.
    """

    def __init__(self, clock=time.monotonic):
        self.clock = clock
        self._seconds = 0.0
        self._last = clock()

    def turn(self):
        """Count a turn of the main loop, as one second at most."""
        now = self.clock()
        self._seconds += min(now - self._last, LONGEST_TURN)
        self._last = now

    def __call__(self):
        """The seconds so far."""
        return self._seconds
