import io

import keras
import pytest

from keras_lbreg.cli.launcher.line_buffer import LineBuffer


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def pieces(data, size):
    return [data[i : i + size] for i in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"one\ntwo\n", [b"one", b"two"]),
        (b"one\r\ntwo\r\n", [b"one", b"two"]),
        (b"one\n\n\ntwo\n", [b"one", b"", b"", b"two"]),
        (b"one\ntwo", [b"one", b"two"]),
        ("épée\nλ".encode(), ["épée".encode(), "λ".encode()]),
        # Bars that write after going back, and before.
        (b"\r0%\r50%\r100%\nend\n", [b"0%", b"100%", b"end"]),
        (b"0%\r50%\r100%\r\nend\n", [b"0%", b"100%", b"end"]),
        (b"50%\r100%\r", [b"50%", b"100%"]),
        (b"", []),
    ],
)
def test_lines_do_not_depend_on_how_they_arrive(data, lines, size):
    buffer = LineBuffer(clock=Clock())
    found = []
    for piece in pieces(data, size):
        found += buffer.feed(piece)
    # The first state of a bar is shown as soon as a second one begins.
    assert found + buffer.flush() == lines
    assert buffer.flush() == []


def test_a_line_is_held_back_until_it_ends():
    buffer = LineBuffer()
    assert buffer.feed(b"half ") == []
    assert buffer.feed(b"a line\nand") == [b"half a line"]
    assert buffer.flush() == [b"and"]


def test_a_bar_is_shown_once_an_interval():
    clock = Clock()
    buffer = LineBuffer(interval=5, clock=clock)
    shown = {}
    for second in range(13):
        clock.now = second
        lines = buffer.feed(b"\r%d" % second)
        if lines:
            shown[second] = lines
    assert shown == {1: [b"0"], 6: [b"5"], 11: [b"10"]}
    assert buffer.feed(b"\n") == [b"12"]


def test_a_line_without_end_is_cut():
    buffer = LineBuffer(longest=10)
    assert buffer.feed(b"." * 25) == [b"." * 10, b"." * 10]
    assert buffer.flush() == [b"." * 5]


def test_bar_of_keras(monkeypatch):
    """Keras 3.15 draws over its bar even where stdout is no terminal."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stdout", written)
    bar = keras.utils.Progbar(30, interval=0)
    for step in range(30):
        bar.update(step + 1, [("loss", 0.5)])
    lines = LineBuffer().feed(written.getvalue().encode())
    text = [line.decode() for line in lines]
    assert len(text) == 2
    assert "1/30" in text[0]
    assert "30/30" in text[1]
    assert "\b" not in "".join(text)
