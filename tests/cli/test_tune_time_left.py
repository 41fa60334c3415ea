"""How long a search still takes."""

import pytest

from keras_lbreg.cli.tune_time_left import TuneTimeLeft


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_nothing_is_known_before_a_trial_has_ended(clock):
    left = TuneTimeLeft(3, clock=clock)
    left.start("000")
    clock.now += 10
    assert left.remaining() is None
    left.end("000")
    assert left.remaining() == 20


def test_running_trials_count_for_what_they_have_left(clock):
    left = TuneTimeLeft(4, ended=1, workers=2, clock=clock)
    left.start("001")
    clock.now += 10
    left.end("001")
    left.start("002")
    clock.now += 4
    # 6 s of one trial, 10 s of another that waits, two at a time.
    assert left.remaining() == 8
    clock.now += 60
    assert left.remaining() == 5


def test_the_budget_counts_all_sessions(clock):
    left = TuneTimeLeft(100, budget=60, elapsed=30, clock=clock)
    left.start("000")
    clock.now += 10
    left.end("000")
    assert left.elapsed == 40
    assert left.budget_left == left.remaining() == 20
    left.start("001")
    # What runs when the budget ends is finished.
    clock.now += 1
    assert left.remaining() == 19 + 9
    clock.now += 100
    assert left.budget_left == left.remaining() == 0


def test_without_a_budget_there_is_none_left(clock):
    assert TuneTimeLeft(2, clock=clock).budget_left is None
