"""The ledger of a search: everything that happened, in order."""

import pathlib
from types import NoneType

from keras_lbreg.experiments.journal import (
    append_to_journal,
    damaged_line,
    read_journal,
)
from keras_lbreg.experiments.shape import NUMBER, check_shape

SESSION = "session"
TRIAL_CREATED = "trial_created"
TRIAL_STARTED = "trial_started"
EXECUTION_ENDED = "execution_ended"
TRIAL_ENDED = "trial_ended"
SEARCH_ENDED = "search_ended"
# Only where the search could still write it: nothing follows a SIGKILL.
INTERRUPTED = "interrupted"

SHAPES = {
    SESSION: {"time": str, "pid": int, "versions": dict},
    TRIAL_CREATED: {"trial": str, "values": dict},
    TRIAL_STARTED: {"trial": str, "worker": str},
    EXECUTION_ENDED: {
        "trial": str,
        "execution": int,
        "seed": int,
        "val_accuracy": NUMBER,
        "epochs": int,
        "seconds": NUMBER,
    },
    TRIAL_ENDED: {
        "trial": str,
        "status": str,
        "score": (*NUMBER, NoneType),
        "reason": (str, NoneType),
        "peak_memory": int,
    },
    SEARCH_ENDED: {"why": str},
    INTERRUPTED: {},
}


class Ledger:
    """The file of a search's events, one JSON object on a line.

    Lines are added and never changed: whatever kills the search, what it had
    found out is there. Only a last line that was cut off in mid write is
    taken away, when the next one is written.

    Args:
        path: The file, `ledger.jsonl` in the search's folder.

    Raises:
        ValueError: A line is damaged, or is no event of a search.

    Example:

    >>> ledger = Ledger("runs/tune-digits/ledger.jsonl")
    >>> ledger.read()[-1]
    {'event': 'search_ended', 'why': 'trials', 'elapsed': 512.3}

    Reference: `keras_lbreg.search.read_search` makes trials of the events.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self._whole = False

    def read(self):
        """All events, as dictionaries."""
        events = read_journal(self.path)
        created = set()
        for number, event in enumerate(events, 1):
            try:
                check_event(event, created)
            except ValueError as error:
                raise damaged_line(self.path, number, str(error)) from error
        return events

    def append(self, event, **fields):
        """Add one event.

        Args:
            event: Its kind, such as `"trial_created"`.
            **fields: What belongs to it, `elapsed` included.

        Returns:
            The event as it was written.
        """
        line = {"event": event, **fields}
        self._mend()
        append_to_journal(self.path, line)
        return line

    def _mend(self):
        """Take away a half-written last line, once."""
        if self._whole or not self.path.is_file():
            self._whole = True
            return
        content = self.path.read_bytes()
        with open(self.path, "r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
        self._whole = True


def check_event(event, created):
    """Raise unless it is an event, about a trial that was created."""
    check_shape(event, {"event": str, "elapsed": NUMBER}, "line")
    kind = event["event"]
    if kind not in SHAPES:
        raise ValueError(f"there is no event {kind!r}")
    check_shape(event, SHAPES[kind], kind)
    if kind == TRIAL_CREATED:
        if event["trial"] in created:
            raise ValueError(f"trial {event['trial']} is created twice")
        created.add(event["trial"])
    elif event.get("trial", "") not in {"", *created}:
        raise ValueError(f"trial {event['trial']} was never created")
    if kind == TRIAL_ENDED and event["status"] not in ("COMPLETED", "FAILED"):
        raise ValueError(f"there is no status {event['status']!r}")
