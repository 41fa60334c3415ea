"""Show a comparison while it runs: a live panel, or lines in a log file."""

import rich.console
import rich.live
import rich.panel
import rich.progress_bar
import rich.table

from keras_lbreg.cli.event_display import EventDisplay
from keras_lbreg.cli.print_plan import print_plan
from keras_lbreg.cli.print_strategy import print_strategy
from keras_lbreg.cli.time_left import TimeLeft
from keras_lbreg.experiments.arms import REFERENCE, standard_arms
from keras_lbreg.experiments.events import (
    CompareStarted,
    EpochEnded,
    RunEnded,
    RunStarted,
    StrategyChosen,
)
from keras_lbreg.experiments.formatting import (
    format_duration,
    format_rate,
    format_stat,
)
from keras_lbreg.experiments.statistics import Stat


class LineDisplay(EventDisplay):
    """Prints one line when a run begins and one when it ends.

    Use it as a context manager and give it to `compare` as `on_event`.

    Args:
        console: The `rich.console.Console` to print to.
        extra_arms: `Arm`s beside the standard ones.
        total: Number of runs, until `CompareStarted` tells it.
    """

    def __init__(self, console, extra_arms=(), total=1):
        self.console = console
        self.total = total
        self.handlers = {
            StrategyChosen: self.on_strategy_chosen,
            CompareStarted: self.on_compare_started,
            RunStarted: self.on_run_started,
            EpochEnded: self.on_epoch_ended,
            RunEnded: self.on_run_ended,
        }
        arms = (*standard_arms(), *extra_arms)
        self.titles = {arm.name: arm.title for arm in arms}
        self.planned = False
        self.ended = []
        self.active = {}
        self.time_left = TimeLeft({})

    def on_strategy_chosen(self, event):
        print_strategy(event.placement, event.layouts, self.console)

    def on_compare_started(self, event):
        self.total = event.total
        self.time_left = TimeLeft(
            event.pending_samples, event.pending, REFERENCE
        )
        print_plan(event.manifest, event.total, event.pending, self.console)
        self.planned = True

    def on_run_started(self, event):
        key = event.arm, event.seed
        self.active[key] = event, None
        self.time_left.start(*key, event.epoch, event.epochs)
        if not self.planned:
            for line in event.changes:
                self.console.print(line, markup=False, soft_wrap=True)
        again = f", going on after epoch {event.epoch}" if event.epoch else ""
        self.announce(
            f"{self.titles[event.arm]}, seed {event.seed}: "
            f"{event.epochs} epochs{again}"
        )

    def on_epoch_ended(self, event):
        record = event.record
        key = record.arm, record.seed
        self.active[key] = self.active[key][0], event
        self.time_left.advance(*key, record.epoch, record.samples)

    def on_run_ended(self, event):
        result = event.result
        key = result.arm, result.seed
        self.active.pop(key, None)
        self.time_left.end(*key)
        self.ended.append(result)
        self.announce(
            f"[{len(self.ended)}/{self.total}] {self.titles[result.arm]}, "
            f"seed {result.seed}: {outcome(event)}{self.time_left_text()}"
        )

    def announce(self, line):
        self.console.print(line, soft_wrap=True, markup=False)

    def time_left_text(self):
        seconds = self.time_left.remaining()
        if not seconds:
            return ""
        return f"; about {format_duration(seconds)} left"


class LiveDisplay(LineDisplay):
    """Keeps a panel up to date: the whole, the current run, finished arms."""

    def __init__(self, console, extra_arms=(), total=1):
        super().__init__(console, extra_arms, total)
        self.live = rich.live.Live(
            console=console,
            get_renderable=self.render,
            refresh_per_second=4,
            transient=True,
        )
        self.last_line = ""

    def on_run_started(self, event):
        super().on_run_started(event)
        # Not earlier: loading the data is silent, and so is the panel.
        self.live.start()

    def __exit__(self, *exception):
        self.live.stop()
        if self.ended and not self.planned:
            # A single run has no table: nothing else says how it ended.
            super().announce(self.last_line)

    def announce(self, line):
        """Keep the line back: the panel shows it."""
        self.last_line = line

    def render(self):
        parts = [self.overall()]
        parts += [self.current(*state) for state in self.active.values()]
        if self.ended:
            parts.append(self.finished())
        return rich.panel.Panel(
            rich.console.Group(*parts),
            border_style="dim",
        )

    def overall(self):
        row = rich.table.Table.grid(padding=(0, 2))
        seconds = self.time_left.remaining()
        left = "measuring" if seconds is None else format_duration(seconds)
        row.add_row(
            rich.progress_bar.ProgressBar(
                total=max(self.total, 1), completed=len(self.ended), width=32
            ),
            f"{len(self.ended)} of {self.total} runs",
            f"time left: {left}",
        )
        return row

    def current(self, started, event):
        epoch = event.record.epoch if event else started.epoch
        grid = rich.table.Table.grid(padding=(0, 2))
        grid.add_row(
            rich.progress_bar.ProgressBar(
                total=started.epochs, completed=epoch, width=32
            ),
            f"[bold]{self.titles[started.arm]}[/], seed {started.seed}",
        )
        numbers = [f"epoch {epoch}/{started.epochs}"]
        if event:
            numbers += [
                f"accuracy {percent(event.record.val_accuracy)}",
                f"best {percent(event.best_val_accuracy)}",
                f"learning rate {format_rate(event.record.learning_rate)}",
            ]
        return rich.console.Group(grid, "   ".join(numbers), "")

    def finished(self):
        table = rich.table.Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("arm")
        table.add_column("runs", justify="right")
        table.add_column("final val. accuracy, %", justify="right")
        table.add_column("best, %", justify="right")
        for arm in self.titles:
            runs = [run for run in self.ended if run.arm == arm]
            good = [run for run in runs if run.status == "finished"]
            if runs:
                table.add_row(
                    self.titles[arm],
                    str(len(runs)),
                    mean_percent(run.final_val_accuracy for run in good),
                    mean_percent(run.best_val_accuracy for run in good),
                )
        return table


def make_display(console, extra_arms=()):
    """Return the display that fits the console."""
    kind = LiveDisplay if console.is_terminal else LineDisplay
    return kind(console, extra_arms)


def outcome(event):
    """Return how a run ended, in a few words."""
    result = event.result
    if result.status != "finished":
        return f"{result.status}: {result.reason}"
    text = (
        f"val accuracy {percent(result.final_val_accuracy)} "
        f"(best {percent(result.best_val_accuracy)})"
    )
    if event.skipped:
        return f"{text}, finished before"
    return f"{text} in {format_duration(result.wall_time)}"


def percent(fraction):
    return f"{100 * fraction:.1f} %"


def mean_percent(fractions):
    return format_stat(Stat.of(fractions), scale=100)
