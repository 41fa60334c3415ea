"""A worker that waits for one that is stuck."""

import logging
import threading
import time

import pytest

from tests.checks.cluster import Failure

# A whole cluster is run within one of the tests.
pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(600)]


@pytest.fixture
def watch(monkeypatch):
    """Watches a new thread that runs a function.

    Nothing is ended in this process: what would be told is in `watch.told`.
    """
    from keras_lbreg.distribute import coordination_hooks, watch_steps

    told, ends = [], []
    monkeypatch.setattr(coordination_hooks, "abort_communication", told.append)

    def start(function, timeout=1):
        def work():
            ends.append(watch_steps.watch_steps(timeout, "Worker 0 of 2"))
            function()

        threading.Thread(target=work, daemon=True).start()
        return told

    yield start
    for end in ends:
        end()
    names = [thread.name for thread in threading.enumerate()]
    assert "keras_lbreg.watch_steps" not in names


@pytest.fixture
def queue():
    """An empty queue: who takes from it waits until it is closed."""
    import tensorflow as tf

    queue = tf.queue.FIFOQueue(1, "float32")
    yield queue
    queue.close(cancel_pending_enqueues=True)


def quietly(function):
    """A function of a thread that is ended with its queue."""
    import tensorflow as tf

    def call():
        with pytest.raises(tf.errors.OutOfRangeError):
            function()

    return call


def test_one_long_step_is_ended_after_a_warning(watch, queue, caplog):
    caplog.set_level(logging.WARNING, "keras_lbreg")
    start = time.monotonic()
    told = watch(quietly(queue.dequeue))
    while not told and time.monotonic() < start + 20:
        time.sleep(0.01)
    [message] = told
    assert time.monotonic() - start >= 0.9
    assert "Worker 0 of 2 was in the same step for 1 s" in message
    assert "step_timeout=1" in message
    warning, error = caplog.messages
    assert warning.startswith("Worker 0 of 2 has been in the same step for")
    assert error == message


def test_short_steps_go_on_for_ever(watch, caplog):
    import tensorflow as tf

    matrix = tf.ones((300, 300))
    end = time.monotonic() + 3

    def steps():
        while time.monotonic() < end:
            tf.linalg.matmul(matrix, matrix)

    told = watch(steps)
    time.sleep(3)
    assert told == []
    assert caplog.messages == []


def test_python_may_do_what_it_likes(watch):
    told = watch(lambda: time.sleep(3))
    time.sleep(2)
    assert told == []


def test_a_worker_waits_for_a_stuck_one_no_longer_than_it_is_told():
    from tests.checks.clusters import two_workers

    waiting, stuck = (result["stuck"] for result in two_workers())
    assert isinstance(waiting, Failure)
    assert waiting.startswith("DeadlineExceededError")
    assert "Worker 0 of 2 was in the same step for 2 s" in waiting
    assert stuck == "was alone"


def test_every_worker_is_watched_from_the_beginning():
    from tests.checks.clusters import two_workers

    for result in two_workers():
        assert "keras_lbreg.watch_steps" in result["threads"]
