import threading
import time

import pytest

from keras_lbreg.search.machines.inbox import Inbox


@pytest.fixture
def call():
    """Calls in a thread; the result or the error comes into a list."""
    threads = []

    def start(inbox, function, *args):
        outcome = []

        def run():
            try:
                outcome.append(inbox.call(function, *args))
            except BaseException as error:
                outcome.append(error)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return threads[-1], outcome

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_calls_are_made_in_the_working_thread(call):
    inbox = Inbox()
    where = []

    def double(number):
        where.append(threading.current_thread())
        return 2 * number

    calls = [call(inbox, double, number) for number in range(3)]
    while any(thread.is_alive() for thread, _ in calls):
        inbox.work(0.02)
    assert [outcome for _, outcome in calls] == [[0], [2], [4]]
    assert where == [threading.current_thread()] * 3


def test_errors_that_are_answers_come_back_to_the_caller(call):
    inbox = Inbox(answers=ValueError)
    thread, outcome = call(inbox, int, "x")
    while thread.is_alive():
        inbox.work(0.02)
    assert isinstance(outcome[0], ValueError)


def test_nobody_waits_for_ever(call):
    inbox = Inbox(timeout=0.05)
    made = []
    thread, outcome = call(inbox, made.append, 1)
    thread.join(10)
    assert isinstance(outcome[0], TimeoutError)
    inbox.work(0.05)
    # Given up by the caller, it is not made either.
    assert made == []


def test_a_closed_inbox_refuses(call):
    inbox = Inbox()
    thread, outcome = call(inbox, int, "1")
    while inbox.waiting == 0:
        time.sleep(0.01)
    inbox.close()
    thread.join(10)
    assert isinstance(outcome[0], TimeoutError)
    with pytest.raises(TimeoutError):
        inbox.call(int, "1")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError])
def test_other_errors_end_the_work_and_free_the_caller(call, kind):
    inbox = Inbox(answers=ValueError)

    def fail():
        raise kind

    thread, outcome = call(inbox, fail)
    with pytest.raises(kind):
        inbox.work(5.0)
    thread.join(10)
    assert isinstance(outcome[0], TimeoutError)
