"""Show a search while it runs: a live table of its trials."""

import rich.console
import rich.live
import rich.panel
import rich.progress_bar
import rich.table
import rich.text

from keras_lbreg.cli.tune_lines import (
    TuneLines,
    accuracy_text,
    reason_text,
)
from keras_lbreg.experiments.formatting import format_duration

# Lines of the panel beside the rows of the table, and the most of these.
FRAME = 9
BEST_TRIALS = 8
BAR = 24


class TuneDisplay(TuneLines):
    """Keeps a panel up to date: the whole, the best, the running trials.

    It shows the trials that run, the best completed ones and the last that
    failed: as many as fit on the screen.

    Args:
        console: The `rich.console.Console` to print to.
    """

    def __init__(self, console):
        super().__init__(console)
        self.search = None
        self.progress = {}
        self.last_failed = None
        self.comparison = None
        self.compared = {}
        self.live = rich.live.Live(
            console=console,
            get_renderable=self.render,
            refresh_per_second=4,
            transient=True,
        )

    def __enter__(self):
        self.live.start()
        return self

    def __exit__(self, *exception):
        self.live.stop()

    def on_search_started(self, event):
        super().on_search_started(event)
        self.search = event.search
        failed = event.results.of_status("failed")
        self.last_failed = failed[-1] if failed else None

    def on_trial_progress(self, event):
        self.progress[event.trial] = event

    def on_trial_ended(self, event):
        super().on_trial_ended(event)
        self.progress.pop(event.trial.id, None)
        if event.trial.status == "failed":
            self.last_failed = event.trial

    def on_search_ended(self, event):
        super().on_search_ended(event)
        # The panel has shown it trial by trial; this stays.
        super().announce(self.last_line)

    def on_confirm_started(self, event):
        super().on_confirm_started(event)
        super().announce(self.last_line)
        self.comparison = event

    def on_confirm_progress(self, event):
        # The last one heard of stands last.
        self.compared.pop((event.arm, event.seed), None)
        self.compared[event.arm, event.seed] = event

    def announce(self, line):
        """Keep the line back: the panel shows it."""
        self.last_line = line

    def render(self):
        if self.search is None:
            parts = ["Looking at data, model and search space ..."]
        elif self.comparison is not None:
            parts = [self.compared_runs()]
        else:
            lines = [self.overall(), self.times(), self.best_line(), ""]
            parts = [*lines, self.table()]
            if self.last_failed is not None:
                parts.append(self.failed_line())
        return rich.panel.Panel(rich.console.Group(*parts), border_style="dim")

    def overall(self):
        trials = self.trials.values()
        failed = sum(trial.status == "failed" for trial in trials)
        text = one_line(f"{self.ended_count} of {self.total} trials")
        if failed:
            text.append(f", {failed} failed", style="red")
        return with_bar(self.total, self.ended_count, text)

    def times(self):
        seconds = self.time_left.remaining()
        left = "measuring" if seconds is None else format_duration(seconds)
        text = one_line(f"Time left: {left}")
        if self.time_left.budget is not None:
            budget = format_duration(self.time_left.budget_left)
            text.append(f"; budget left: {budget}")
        return text

    def best_line(self):
        if self.best is None:
            return "No trial has completed yet."
        text = one_line("Best so far: ")
        text.append(f"{accuracy_text(self.best)} %", style="bold green")
        text.append(f" (trial {self.best.id}): ")
        text.append(self.settings(self.best))
        return text

    def table(self):
        table = rich.table.Table(box=None, padding=(0, 2, 0, 0), expand=True)
        table.add_column("trial", no_wrap=True)
        table.add_column("status", no_wrap=True)
        workers = self.search.workers > 1
        if workers:
            table.add_column("worker", no_wrap=True)
        table.add_column("epoch", justify="right", no_wrap=True)
        table.add_column("accuracy, %", justify="right", no_wrap=True)
        # Cut off at the right where there is no room.
        table.add_column("settings", no_wrap=True, overflow="ellipsis", ratio=1)
        for row in self.rows():
            if not workers:
                row.pop(2)
            table.add_row(*row)
        return table

    def rows(self):
        """The rows of the table, as lists of texts."""
        trials = self.trials.values()
        running = [trial for trial in trials if trial.status == "running"]
        completed = [trial for trial in trials if trial.status == "completed"]
        completed.sort(key=lambda trial: (-trial.until, -trial.score))
        room = self.console.height - FRAME - len(running)
        for trial in running:
            yield self.running_row(trial)
        for trial in completed[: max(1, min(BEST_TRIALS, room))]:
            yield [
                *self.named(trial, "completed", "green"),
                str(max(run.epochs for run in trial.executions)),
                accuracy_text(trial),
                rich.text.Text(self.settings(trial)),
            ]

    def failed_line(self):
        text = one_line(f"Trial {self.last_failed.id} failed: ")
        return text.append(reason_text(self.last_failed), style="red")

    def running_row(self, trial):
        """The row of a running trial: how far its current run has come."""
        seen = self.progress.get(trial.id)
        epoch = f"0/{self.epochs}"
        accuracy = ""
        if seen is not None:
            epoch = f"{seen.epoch}/{seen.epochs}"
            accuracy = f"{100 * seen.val_accuracy:.1f}"
            if self.search.executions > 1:
                runs = f"run {seen.execution + 1}/{self.search.executions}"
                epoch = f"{runs}, {epoch}"
        settings = rich.text.Text(self.settings(trial))
        return [
            *self.named(trial, "running", "yellow"),
            epoch,
            accuracy,
            settings,
        ]

    def compared_runs(self):
        """How far the comparison on fresh seeds has come."""
        total = len(self.comparison.arms) * len(self.comparison.seeds)
        seen = list(self.compared.values())
        ended = sum(run.epoch == run.epochs for run in seen)
        text = one_line(f"{ended} of {total} runs")
        if seen:
            text.append(f"; {self.title(seen[-1].arm)}, seed {seen[-1].seed}")
            text.append(f": epoch {seen[-1].epoch}/{seen[-1].epochs}")
            text.append(f", accuracy {100 * seen[-1].val_accuracy:.1f} %")
        return with_bar(total, ended, text)

    def named(self, trial, status, color):
        """The first cells of a row: trial, status, worker."""
        worker = trial.worker or ""
        host = worker.rpartition(":")[0]
        hosts = {
            other.worker.rpartition(":")[0]
            for other in self.trials.values()
            if other.worker
        }
        if hosts == {host}:
            worker = worker.removeprefix(f"{host}:")
        return [trial.id, f"[{color}]{status}[/]", worker]


def one_line(text):
    """Return a text that is cut off at the right where there is no room."""
    return rich.text.Text(text, no_wrap=True, overflow="ellipsis")


def with_bar(total, completed, text):
    """Return a progress bar with a text beside it."""
    grid = rich.table.Table.grid(padding=(0, 2))
    bar = rich.progress_bar.ProgressBar(max(total, 1), completed, width=BAR)
    grid.add_row(bar, text)
    return grid


def make_tune_display(console, lines=False):
    """Return the display that fits the console.

    Args:
        console: The `rich.console.Console` to print to.
        lines: Whether to print lines in any case.
    """
    table = console.is_terminal and not lines
    return (TuneDisplay if table else TuneLines)(console)
