"""The estimate is exact where every sample of an arm costs the same."""

import pytest

from keras_lbreg.cli.time_left import TimeLeft


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def run_epochs(left, clock, arm, seconds, epochs, seed=0, samples=100):
    """Let a started run do `epochs` epochs more, each of `seconds`."""
    first = left.marks[arm, seed].epoch + 1
    for epoch in range(first, first + epochs):
        clock.now += seconds
        left.advance(arm, seed, epoch, epoch * samples)


def test_nothing_is_estimated_before_anything_is_measured(clock):
    left = TimeLeft({"a": 1000}, clock=clock)
    assert left.remaining() is None
    left.start("a", 0, epoch=0, epochs=10)
    assert left.remaining() is None


def test_the_start_of_a_run_is_counted_apart(clock):
    left = TimeLeft({"a": 2000}, pending=2, clock=clock)
    left.start("a", 0, epoch=0, epochs=10)
    run_epochs(left, clock, "a", seconds=30, epochs=1)
    run_epochs(left, clock, "a", seconds=1, epochs=1)
    # Eighteen epochs of a second, and one run that has yet to start.
    assert left.remaining() == pytest.approx(18 + 30)


def test_every_arm_has_its_own_speed(clock):
    left = TimeLeft({"small": 1000, "large": 1000}, pending=2, clock=clock)
    left.start("small", 0, epoch=0, epochs=10)
    run_epochs(left, clock, "small", seconds=2, epochs=2)
    # The large batch is unknown: as the small one.
    assert left.remaining() == pytest.approx(8 * 2 + 10 * 2 + 2)
    run_epochs(left, clock, "small", seconds=2, epochs=8)
    left.end("small", 0)
    left.start("large", 0, epoch=0, epochs=10)
    run_epochs(left, clock, "large", seconds=0.5, epochs=5)
    assert left.remaining() == pytest.approx(5 * 0.5)


def test_an_unknown_arm_is_as_fast_as_the_large_batch(clock):
    left = TimeLeft(
        {"small": 200, "large": 200, "noise": 200}, 3, "small", clock=clock
    )
    for arm, seconds in (("small", 10), ("large", 2)):
        left.start(arm, 0, epoch=0, epochs=2)
        run_epochs(left, clock, arm, seconds, epochs=2)
        left.end(arm, 0)
    assert left.remaining() == pytest.approx(2 * 2 + (10 + 2) / 2)


def test_a_resumed_run_counts_only_what_is_new(clock):
    left = TimeLeft({"a": 500}, clock=clock)
    left.start("a", 0, epoch=5, epochs=10)
    run_epochs(left, clock, "a", seconds=1, epochs=2)
    assert left.pending_samples["a"] == pytest.approx(300)
    assert left.remaining() == pytest.approx(3)


def test_time_runs_between_epochs_and_two_runs_share_it(clock):
    left = TimeLeft({"a": 2000}, pending=2, clock=clock)
    for seed in (0, 1):
        left.start("a", seed, epoch=0, epochs=10)
    for epoch in (1, 2):
        clock.now += 1
        for seed in (0, 1):
            left.advance("a", seed, epoch, epoch * 100)
    assert left.remaining() == pytest.approx(8)
    clock.now += 0.5
    assert left.remaining() == pytest.approx(7.5)


def test_a_failed_run_takes_its_rest_out_of_the_estimate(clock):
    left = TimeLeft({"a": 2000}, pending=2, clock=clock)
    left.start("a", 0, epoch=0, epochs=10)
    run_epochs(left, clock, "a", seconds=1, epochs=2)
    left.end("a", 0)
    assert left.pending_samples["a"] == pytest.approx(1000)


def test_a_run_that_was_not_announced_is_all_there_is(clock):
    left = TimeLeft({}, clock=clock)
    left.start("a", 0, epoch=0, epochs=10)
    run_epochs(left, clock, "a", seconds=1, epochs=4)
    assert left.remaining() == pytest.approx(6)
