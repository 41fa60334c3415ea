"""What is shown while runs go on: a panel on a terminal, else lines."""

import functools
import math
import statistics
import time

import rich.live
import rich.progress_bar
import rich.table

from keras_lbreg.formatting import format_duration, make_console


class Display:
    """Progress of one run or many, and how long the rest takes."""

    # What is counted.
    unit = "runs"

    def __init__(self, console=None, quiet=False):
        self.console = console or make_console()
        self.quiet = quiet
        self.total = 1
        self.ended = 0
        self.current = None
        self.record = None
        self.time_left = TimeLeft([])
        self._live = None
        self._began = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._live is not None:
            self._live.stop()
            self._live = None

    def begin(self, runs, pending):
        """All runs there will be, and those that are not done."""
        self.total = len(runs)
        self.time_left = TimeLeft(pending)

    def say(self, text):
        """Prints a line above what is in progress."""
        if not self.quiet:
            self.console.print(text, soft_wrap=True, markup=False)

    def run_started(self, run):
        self.current, self.record = run, None
        self._began = time.monotonic()
        self.time_left.start(run)
        if not self.console.is_terminal:
            self.say(f"{self._title(run)}: {run.plan.epochs} epochs")
        elif self._live is None and not self.quiet:
            # Not earlier: loading the data shows nothing.
            self._live = rich.live.Live(
                console=self.console,
                get_renderable=self._render,
                refresh_per_second=4,
                transient=True,
            )
            self._live.start()

    def run_resumed(self, record):
        """The run goes on after the epoch that was recorded last."""
        self.record = record
        of = f"epoch {record.epoch} of {self.current.plan.epochs}"
        self.say(f"{self._title(self.current)} goes on after {of}")

    def epoch(self, record):
        self.record = record
        self.time_left.advance(self.current, record)

    def run_ended(self, run, result, skipped=False):
        self.current = self.record = None
        self.ended += 1
        self.time_left.end(run)
        if skipped and self.total > 1:
            return
        text = f"{result.status}: {result.reason}"
        if result.status == "finished":
            final = score(run.facts, result.final)
            best = score(run.facts, result.best)
            took = "finished before"
            if not skipped:
                whole = format_duration(time.monotonic() - self._began)
                trained = format_duration(result.time)
                took = f"{trained} of training, {whole} in all"
            text = f"{run.objective} {final} (best {best}), {took}"
        left = self.remaining()
        if left and not self.console.is_terminal:
            text += f"; about {format_duration(left)} left"
        self.say(f"[{self.ended}/{self.total}] {self._title(run)}: {text}")

    def remaining(self):
        """Seconds that the rest takes, or `None`."""
        return self.time_left.remaining()

    def note(self):
        """What is said beside the number of ended runs."""
        return ""

    def _title(self, run):
        return f"{run.arm.title}, seed {run.seed}"

    def _render(self):
        grid = rich.table.Table.grid(padding=(0, 2))
        bar = functools.partial(rich.progress_bar.ProgressBar, width=24)
        left = self.remaining()
        left = "measuring" if left is None else format_duration(left)
        grid.add_row(
            bar(self.total, self.ended),
            f"{self.ended} of {self.total} {self.unit}{self.note()}",
            f"about {left} left",
        )
        run, record = self.current, self.record
        if run is not None:
            done, text = 0, "compiling"
            if record is not None:
                done = record.epoch
                text = f"epoch {done} of {run.plan.epochs}, {run.objective} "
                text += score(run.facts, record.objective)
            grid.add_row(bar(run.plan.epochs, done), self._title(run), text)
        return grid


class TimeLeft:
    """Seconds left, from what was measured so far.

    Each arm has its own measure. One that has not run yet is taken to be as
    fast as the others of its batch size; of another batch size B it is known
    that an update costs between once and B / B' times as much, and the
    geometric mean is taken. Compilation is counted apart, for every run.
    """

    def __init__(self, pending):
        self.left = {run: run.plan.samples for run in pending}
        self.waiting = len(pending)
        self.startups = []
        # Batch size, seconds and samples by arm.
        self.measured = {}
        self._before = None

    def start(self, run):
        self.waiting = max(0, self.waiting - 1)
        self.left[run] = run.plan.samples
        self._before = time.monotonic(), None

    def advance(self, run, record):
        now, (before, samples) = time.monotonic(), self._before
        self._before = now, record.samples
        self.left[run] = run.plan.samples - record.samples
        if samples is None:
            self.startups.append(now - before)
            return
        name, size = run.arm.name, run.plan.batch_size
        _, seconds, seen = self.measured.get(name, (size, 0.0, 0))
        seconds, seen = seconds + now - before, seen + record.samples - samples
        self.measured[name] = size, seconds, seen

    def end(self, run):
        self.left.pop(run, None)

    def remaining(self):
        """Seconds, or `None` before anything was measured."""
        if not self.measured:
            return None
        training = sum(
            samples * self._seconds_per_sample(run)
            for run, samples in self.left.items()
        )
        return training + self.waiting * statistics.fmean(self.startups)

    def _seconds_per_sample(self, run):
        size, known = run.plan.batch_size, list(self.measured.values())
        if run.arm.name in self.measured:
            known = [self.measured[run.arm.name]]
        known = [entry for entry in known if entry[0] == size] or known
        return statistics.fmean(
            seconds / samples * math.sqrt(other / size)
            for other, seconds, samples in known
        )


def score(facts, value):
    """A value of the objective as people write it."""
    if not math.isfinite(value):
        return "not finite"
    return f"{100 * value:.1f} %" if facts.is_share else f"{value:.4g}"
