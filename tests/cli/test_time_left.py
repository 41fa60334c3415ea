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


def test_nothing_is_estimated_before_anything_is_measured(clock):
    left = TimeLeft({"a": 1000}, clock=clock)
    assert left.remaining() is None
    left.start("a", 0, epoch=0, epochs=10)
    assert left.remaining() is None


def test_every_arm_has_its_own_speed(clock):
    left = TimeLeft({"small": 1000, "large": 1000}, clock=clock)
    left.start("small", 0, epoch=0, epochs=10)
    clock.now += 4
    left.advance("small", 0, epoch=2, samples=200)
    # 800 samples of "small" at 0.02 s, and "large" is unknown: as "small".
    assert left.remaining() == pytest.approx(16 + 20)
    left.end("small", 0)
    left.start("large", 0, epoch=0, epochs=10)
    clock.now += 1
    left.advance("large", 0, epoch=5, samples=500)
    assert left.remaining() == pytest.approx(1)


def test_an_unknown_arm_is_as_fast_as_the_large_batch(clock):
    left = TimeLeft(
        {"small": 100, "large": 100, "noise": 100}, "small", clock=clock
    )
    for arm, seconds in (("small", 10), ("large", 2)):
        left.start(arm, 0, epoch=0, epochs=1)
        clock.now += seconds
        left.advance(arm, 0, epoch=1, samples=100)
        left.end(arm, 0)
    assert left.remaining() == pytest.approx(2)


def test_a_resumed_run_counts_only_what_is_new(clock):
    left = TimeLeft({"a": 500}, clock=clock)
    left.start("a", 0, epoch=5, epochs=10)
    clock.now += 1
    left.advance("a", 0, epoch=6, samples=600)
    assert left.pending["a"] == pytest.approx(400)
    assert left.remaining() == pytest.approx(4)


def test_time_runs_between_epochs_and_two_runs_share_it(clock):
    left = TimeLeft({"a": 2000}, clock=clock)
    left.start("a", 0, epoch=0, epochs=10)
    left.start("a", 1, epoch=0, epochs=10)
    clock.now += 1
    left.advance("a", 0, epoch=1, samples=100)
    left.advance("a", 1, epoch=1, samples=100)
    assert left.remaining() == pytest.approx(9)
    clock.now += 0.5
    assert left.remaining() == pytest.approx(8.5)


def test_a_failed_run_takes_its_rest_out_of_the_estimate(clock):
    left = TimeLeft({"a": 2000}, clock=clock)
    left.start("a", 0, epoch=0, epochs=10)
    clock.now += 1
    left.advance("a", 0, epoch=1, samples=100)
    left.end("a", 0)
    assert left.pending["a"] == pytest.approx(1000)
