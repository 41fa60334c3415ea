"""Estimate how long a comparison still takes."""

import dataclasses
import statistics
import time


@dataclasses.dataclass
class Mark:
    """Where a run stood when it was last heard of."""

    time: float
    epoch: int
    epochs: int
    samples_per_epoch: float = 0.0
    started: bool = False


class TimeLeft:
    """Time left, from the samples left and the measured time per sample.

    A sample costs more in small batches than in large ones, so each arm has
    its own measure. An arm that has not run yet is taken to be as fast as the
    large-batch arms that have. What a run takes until its first recorded
    epoch, compilation above all, is counted for every run that is to come.

    Args:
        pending_samples: Training samples left to process, by arm name.
        pending: Number of runs that have not ended.
        reference: Name of the small-batch arm. Its speed stands for another
            arm's only while nothing else has been measured.
        clock: Function that returns seconds; for tests.
    """

    def __init__(
        self,
        pending_samples,
        pending=1,
        reference=None,
        clock=time.monotonic,
    ):
        self.pending_samples = dict(pending_samples)
        self.waiting = pending
        self.reference = reference
        self.clock = clock
        self.startups = []
        self.seconds = {}
        self.samples = {}
        self.marks = {}

    def start(self, arm, seed, epoch, epochs):
        """A run of `epochs` epochs begins, or goes on after `epoch`."""
        self.waiting -= 1
        self.marks[arm, seed] = Mark(self.clock(), epoch, epochs)

    def advance(self, arm, seed, epoch, samples):
        """A run has done `epoch` epochs, which are `samples` samples."""
        mark, now = self.marks[arm, seed], self.clock()
        mark.samples_per_epoch = samples / epoch
        done = (epoch - mark.epoch) * mark.samples_per_epoch
        # A single run was not announced: it is all there is to do.
        whole = (mark.epochs - mark.epoch) * mark.samples_per_epoch
        self.pending_samples.setdefault(arm, whole)
        self._take(arm, done)
        if mark.started:
            self.seconds[arm] = self.seconds.get(arm, 0.0) + now - mark.time
            self.samples[arm] = self.samples.get(arm, 0.0) + done
        else:
            self.startups.append(now - mark.time)
        mark.time, mark.epoch, mark.started = now, epoch, True

    def end(self, arm, seed):
        """A run has ended; what it leaves undone will not be done."""
        mark = self.marks.pop((arm, seed), None)
        if mark is not None:
            left = mark.epochs - mark.epoch
            self._take(arm, left * mark.samples_per_epoch)

    def remaining(self):
        """Seconds left, or `None` before anything was measured."""
        if not self.samples:
            return None
        now = self.clock()
        running = sum(now - mark.time for mark in self.marks.values())
        training = sum(
            samples * self.seconds_per_sample(arm)
            for arm, samples in self.pending_samples.items()
        )
        starting = self.waiting * statistics.fmean(self.startups)
        # Several runs may go on at once, in processes of their own.
        several = max(1, len(self.marks))
        return max(0.0, training + starting - running) / several

    def seconds_per_sample(self, arm):
        """The measured cost of a sample in `arm`, or the best guess at it."""
        arms = [arm] if arm in self.samples else list(self.samples)
        if len(arms) > 1:
            arms = [name for name in arms if name != self.reference]
        return sum(self.seconds[name] for name in arms) / sum(
            self.samples[name] for name in arms
        )

    def _take(self, arm, samples):
        left = self.pending_samples.get(arm, 0.0) - samples
        self.pending_samples[arm] = max(0.0, left)
