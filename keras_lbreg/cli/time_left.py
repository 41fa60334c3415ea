"""Estimate how long a comparison still takes."""

import dataclasses
import time


@dataclasses.dataclass
class Mark:
    """Where a run stood when it was last heard of."""

    time: float
    epoch: int
    epochs: int
    samples_per_epoch: float = 0.0


class TimeLeft:
    """Time left, from the samples left and the measured time per sample.

    A sample costs more in small batches than in large ones, so each arm has
    its own measure. It holds everything: compilation, validation, saving. An
    arm that has not run yet is taken to be as fast as the large-batch arms
    that have.

    Args:
        pending_samples: Training samples left to process, by arm name.
        reference: Name of the small-batch arm. Its speed stands for another
            arm's only while nothing else has been measured.
        clock: Function that returns seconds; for tests.
    """

    def __init__(self, pending_samples, reference=None, clock=time.monotonic):
        self.pending = dict(pending_samples)
        self.reference = reference
        self.clock = clock
        self.seconds = {}
        self.samples = {}
        self.marks = {}

    def start(self, arm, seed, epoch, epochs):
        """A run of `epochs` epochs begins, or goes on after `epoch`."""
        self.marks[arm, seed] = Mark(self.clock(), epoch, epochs)

    def advance(self, arm, seed, epoch, samples):
        """A run has done `epoch` epochs, which are `samples` samples."""
        mark, now = self.marks[arm, seed], self.clock()
        mark.samples_per_epoch = samples / epoch
        done = (epoch - mark.epoch) * mark.samples_per_epoch
        # A single run was not announced: it is all there is to do.
        whole = (mark.epochs - mark.epoch) * mark.samples_per_epoch
        self.pending.setdefault(arm, whole)
        self.seconds[arm] = self.seconds.get(arm, 0.0) + now - mark.time
        self.samples[arm] = self.samples.get(arm, 0.0) + done
        self._take(arm, done)
        mark.time, mark.epoch = now, epoch

    def end(self, arm, seed):
        """A run has ended; what it leaves undone will not be done."""
        mark = self.marks.pop((arm, seed), None)
        if mark is not None:
            left = mark.epochs - mark.epoch
            self._take(arm, left * mark.samples_per_epoch)

    def remaining(self):
        """Seconds left, or `None` before anything was measured."""
        if not any(self.samples.values()):
            return None
        since = self.clock()
        running = sum(since - mark.time for mark in self.marks.values())
        total = sum(
            samples * self.seconds_per_sample(arm)
            for arm, samples in self.pending.items()
        )
        # Several runs may go on at once, in processes of their own.
        return max(0.0, total - running) / max(1, len(self.marks))

    def seconds_per_sample(self, arm):
        """The measured cost of a sample in `arm`, or the best guess at it."""
        arms = [arm] if self.samples.get(arm) else list(self.samples)
        if len(arms) > 1:
            arms = [name for name in arms if name != self.reference]
        return sum(self.seconds[name] for name in arms) / sum(
            self.samples[name] for name in arms
        )

    def _take(self, arm, samples):
        self.pending[arm] = max(0.0, self.pending.get(arm, 0.0) - samples)
