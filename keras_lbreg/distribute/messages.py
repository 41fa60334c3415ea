"""What workers say to one another before they train: JSON, a line each.

Strangers come to an open port, too, and say what they like.
"""

import json
import reprlib
import time

LONGEST_LINE = 2**20
LONGEST_TEXT = 1000

_short = reprlib.Repr()
_short.maxlist = _short.maxdict = 100
_short.maxstring = _short.maxother = _short.maxlong = 100


def shown(value):
    """What others have sent, cut and printable."""
    return _short.repr(value)[:LONGEST_TEXT]


def send(connection, message):
    """Sends a dictionary."""
    connection.settimeout(5.0)
    connection.sendall(json.dumps(message).encode() + b"\n")


def receive(connection, deadline):
    """The next message of texts; empty if there is none, or it is no such."""
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or len(line) > LONGEST_LINE:
            return {}
        connection.settimeout(left)
        try:
            # One at a time: what follows belongs to the next message.
            byte = connection.recv(1)
        except OSError:
            return {}
        if not byte:
            return {}
        line += byte
    return {name: _printable(text) for name, text in parse(line).items()}


def parse(line):
    """A dictionary; empty for what is no JSON, or no dictionary."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _printable(text):
    text = text if isinstance(text, str) else shown(text)
    return "".join(
        character if character.isprintable() else "?"
        for character in text[:LONGEST_TEXT]
    )
