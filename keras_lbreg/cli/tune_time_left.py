"""Estimate how long a search still takes."""

import statistics
import time


class TuneTimeLeft:
    """Time left, from the time that trials took and the budget.

    Args:
        trials: Number of trials of the whole search.
        ended: Number of trials that earlier sessions ended.
        workers: Trials at a time.
        budget: Seconds of searching, or `None`.
        elapsed: Seconds of searching in earlier sessions.
        clock: Function that returns seconds; for tests.
    """

    def __init__(
        self,
        trials,
        ended=0,
        workers=1,
        budget=None,
        elapsed=0.0,
        clock=time.monotonic,
    ):
        self.waiting = trials - ended
        self.workers = workers
        self.budget = budget
        self.clock = clock
        self.origin = clock() - elapsed
        self.begun = {}
        self.durations = []

    def start(self, trial):
        """A trial begins."""
        self.waiting -= 1
        self.begun[trial] = self.clock()

    def end(self, trial):
        """A trial has ended, whatever came of it."""
        if trial in self.begun:
            self.durations.append(self.clock() - self.begun.pop(trial))

    @property
    def elapsed(self):
        """Seconds of searching, over all sessions."""
        return self.clock() - self.origin

    @property
    def budget_left(self):
        """Seconds in which a trial may still begin; `None` without end."""
        if self.budget is None:
            return None
        return max(0.0, self.budget - self.elapsed)

    def remaining(self):
        """Seconds left, or `None` before a trial has ended."""
        if not self.durations:
            return None
        usual, now = statistics.fmean(self.durations), self.clock()
        running = [max(0.0, usual - (now - t)) for t in self.begun.values()]
        waiting = usual * max(0, self.waiting)
        left = (waiting + sum(running)) / self.workers
        if self.budget is not None:
            # What has begun within the budget is finished after it.
            left = min(left, self.budget_left + max(running, default=0.0))
        return left
