"""Lines of JSON, and what else may come through an open port."""

import contextlib
import socket
import time

import pytest

from keras_lbreg.distribute import messages


@pytest.fixture
def ends():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(end) for end in socket.socketpair()]


def soon():
    return time.monotonic() + 0.3


def test_messages_come_one_by_one(ends):
    one, other = ends
    messages.send(one, {"waiting": "worker 1 (host: 1), é"})
    messages.send(one, {"complete": "yes"})
    assert messages.receive(other, soon()) == {
        "waiting": "worker 1 (host: 1), é"
    }
    assert messages.receive(other, soon()) == {"complete": "yes"}


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[1]\n", b"HTTP/1.1 400\n", b"\xff\n", b"[" * 10**5 + b"\n"],
    ids=["nothing", "no end", "a list", "HTTP", "bytes", "a nest"],
)
def test_what_is_no_message(ends, line):
    one, other = ends
    one.sendall(line)
    assert messages.receive(other, soon()) == {}


def test_an_end(ends):
    one, other = ends
    one.close()
    assert messages.receive(other, soon()) == {}


def test_no_byte_is_waited_for_beyond_the_deadline(ends):
    one, other = ends
    one.sendall(b" " * 1000)
    assert messages.receive(other, time.monotonic()) == {}
    assert other.recv(1000) == b" " * 1000


def test_texts_are_printable_and_cut(ends):
    one, other = ends
    messages.send(one, {"error": "\x1b[31m\n" + 2000 * "x", "missing": [1]})
    message = messages.receive(other, soon())
    assert message["error"].startswith("?[31m?xxx")
    assert len(message["error"]) == messages.LONGEST_TEXT
    assert message["missing"] == "[1]"


@pytest.mark.parametrize("value", ["x" * 10**5, ["x" * 99] * 99, 10**3000])
def test_values_are_cut(value):
    assert len(messages.shown(value)) <= messages.LONGEST_TEXT
    assert messages.shown("a\n") == "'a\\n'"
