"""Whole lines out of a stream of bytes."""

import re
import time

ENDS = re.compile(rb"([\r\n])")


class LineBuffer:
    """Collects bytes and gives them back a line at a time.

    A progress bar goes back to the beginning of its line and writes over it.
    Of such a line the last state is given, and, while it is not finished, the
    present one every `interval` seconds.

    Args:
        interval: Seconds between two states of an unfinished line.
        longest: Bytes after which a line is cut, for a program that never
            ends one.
        clock: Function that returns the time in seconds.

    Example:

    >>> LineBuffer().feed(b"one\\ntwo\\n10 %\\r20 %\\r30 %\\nth")
    [b'one', b'two', b'10 %', b'30 %']
    """

    def __init__(self, interval=5.0, longest=65536, clock=time.monotonic):
        self.interval = interval
        self.longest = longest
        self.clock = clock
        self._text = b""
        # The state that a carriage return has ended, until it is known
        # whether a new one follows or the end of the line.
        self._state = b""
        self._next_state = float("-inf")

    def feed(self, data):
        """Take `data` and return the lines it completes."""
        lines = []
        for part in ENDS.split(data):
            if part == b"\n":
                lines.append(self._end())
            elif part == b"\r":
                self._overwrite()
            elif part:
                lines += self._append(part)
        return lines

    def flush(self):
        """Return what is left, as a line if there is anything."""
        return [self._end()] if self._text or self._state else []

    def _append(self, part):
        lines = []
        if self._state and not self._text and self.clock() >= self._next_state:
            lines.append(self._state)
            self._next_state = self.clock() + self.interval
        self._text += part
        while len(self._text) > self.longest:
            lines.append(self._text[: self.longest])
            self._text = self._text[self.longest :]
        return lines

    def _overwrite(self):
        # Keras also goes back with one backspace per character.
        self._state = self._text.rstrip(b"\b ") or self._state
        self._text = b""

    def _end(self):
        line = self._text or self._state
        self._text = self._state = b""
        self._next_state = float("-inf")
        return line
