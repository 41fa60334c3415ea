"""What is shown while runs go on: a panel on a terminal, else lines."""

import math
import statistics
import time

import rich.console
import rich.live
import rich.progress_bar
import rich.table

# Rich renders at 80 columns where it finds no terminal; a log file has more
# room, and a wrapped table is unreadable.
WIDTH = 120


def make_console(stderr=False):
    """A console on the present stdout or stderr."""
    console = rich.console.Console(stderr=stderr, highlight=False)
    if not console.is_terminal and console.width < WIDTH:
        console.width = WIDTH
    return console


class Display:
    """Progress of one run or many, and how long the rest takes.

    Args:
        console: The `rich.console.Console`. Defaults to one on stdout.
        quiet: Whether to show nothing.
    """

    # What is counted.
    unit = "runs"

    def __init__(self, console=None, quiet=False):
        self.console = console or make_console()
        self.quiet = quiet
        self.total = 1
        self.ended = []
        self.current = None
        self.record = None
        self.time_left = TimeLeft([])
        self._live = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stop()

    def begin(self, runs, pending):
        """All runs there will be, and those that are not done."""
        self.total = len(runs)
        self.time_left = TimeLeft(pending)

    def say(self, text, style=None):
        """Prints a line above what is in progress."""
        if not self.quiet:
            self.console.print(text, style=style, soft_wrap=True, markup=False)

    def run_started(self, run):
        self.current, self.record = run, None
        self.time_left.start(run)
        if self.quiet:
            return
        if self.console.is_terminal:
            if self._live is None:
                # Not earlier: loading the data shows nothing.
                self._live = rich.live.Live(
                    console=self.console,
                    get_renderable=self._render,
                    refresh_per_second=4,
                    transient=True,
                )
                self._live.start()
        else:
            self.say(f"{self._title(run)}: {run.plan.epochs} epochs")

    def epoch(self, record):
        self.record = record
        self.time_left.advance(self.current, record)

    def run_ended(self, run, result, skipped=False):
        self.current = self.record = None
        self.ended.append(result)
        self.time_left.end(run)
        if skipped and self.total > 1:
            return
        text = (
            f"[{len(self.ended)}/{self.total}] {self._title(run)}: "
            f"{outcome(run, result, skipped)}"
        )
        left = self.remaining()
        if left and not self.console.is_terminal:
            text += f"; about {duration(left)} left"
        self.say(text)

    def remaining(self):
        """Seconds that the rest takes, or `None`."""
        return self.time_left.remaining()

    def note(self):
        """What is said beside the number of ended runs."""
        return ""

    def _title(self, run):
        return f"{run.arm.title}, seed {run.seed}"

    def _stop(self):
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _render(self):
        grid = rich.table.Table.grid(padding=(0, 2))
        left = self.remaining()
        left = "measuring" if left is None else duration(left)
        grid.add_row(
            rich.progress_bar.ProgressBar(
                total=self.total, completed=len(self.ended), width=24
            ),
            f"{len(self.ended)} of {self.total} {self.unit}{self.note()}",
            f"about {left} left",
        )
        if self.current is not None:
            run, record = self.current, self.record
            done = record.epoch if record else 0
            text = "compiling" if record is None else f"epoch {done}"
            if record is not None:
                text += f" of {run.plan.epochs}, {run.objective} "
                text += score(run.facts, record.objective)
            grid.add_row(
                rich.progress_bar.ProgressBar(
                    total=run.plan.epochs, completed=done, width=24
                ),
                self._title(run),
                text,
            )
        return grid


class TimeLeft:
    """Seconds left, from what was measured so far.

    Each arm has its own measure. One that has not run yet is taken to be as
    fast as the others of its batch size; of another batch size B it is known
    that an update costs between once and B / B' times as much, and the
    geometric mean is taken. Compilation is counted apart, for every run.
    """

    def __init__(self, pending):
        self.left = {key_of(run): run.plan.samples for run in pending}
        self.size = {run.arm.name: run.plan.batch_size for run in pending}
        self.waiting = len(pending)
        self.startups = []
        # Seconds and samples by arm.
        self.measured = {}
        self._mark = None

    def start(self, run):
        self.waiting = max(0, self.waiting - 1)
        self.size[run.arm.name] = run.plan.batch_size
        self.left.setdefault(key_of(run), run.plan.samples)
        self._mark = time.monotonic(), None

    def advance(self, run, record):
        before, samples = self._mark
        now = time.monotonic()
        self._mark = now, record.samples
        self.left[key_of(run)] = run.plan.samples - record.samples
        if samples is None:
            self.startups.append(now - before)
        else:
            spent, seen = self.measured.get(run.arm.name, (0.0, 0))
            self.measured[run.arm.name] = (
                spent + now - before,
                seen + record.samples - samples,
            )

    def end(self, run):
        self.left.pop(key_of(run), None)

    def remaining(self):
        """Seconds, or `None` before anything was measured."""
        if not self.measured:
            return None
        training = sum(
            samples * self._seconds_per_sample(arm)
            for (arm, _), samples in self.left.items()
        )
        return training + self.waiting * statistics.fmean(self.startups)

    def _seconds_per_sample(self, arm):
        size = self.size.get(arm, 1)
        same = [a for a in self.measured if self.size[a] == size]
        arms = [arm] if arm in self.measured else same or list(self.measured)
        rates = []
        for measured in arms:
            spent, samples = self.measured[measured]
            ratio = math.sqrt(self.size[measured] / size)
            rates.append(spent / max(1, samples) * ratio)
        return statistics.fmean(rates)


def key_of(run):
    return run.arm.name, run.seed


def outcome(run, result, skipped):
    """How a run ended, in a few words."""
    if result.status != "finished":
        return f"{result.status}: {result.reason}"
    text = (
        f"{run.objective} {score(run.facts, result.final)} (best "
        f"{score(run.facts, result.best)})"
    )
    if skipped:
        return f"{text}, finished before"
    whole = result.summary.get("session", result.elapsed)
    return (
        f"{text}, {duration(result.time)} of training, {duration(whole)} in all"
    )


def score(facts, value):
    """A value of the objective as people write it."""
    if not math.isfinite(value):
        return "not finite"
    return f"{100 * value:.1f} %" if facts.is_share else f"{value:.4g}"


def duration(seconds):
    """Seconds in words: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
