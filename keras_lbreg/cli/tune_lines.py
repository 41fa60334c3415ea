"""Show a search as lines, for a log file."""

from keras_lbreg.cli.event_display import EventDisplay
from keras_lbreg.cli.print_search import print_search
from keras_lbreg.cli.settings_text import settings_text
from keras_lbreg.cli.tune_time_left import TuneTimeLeft
from keras_lbreg.experiments.arms import standard_arms
from keras_lbreg.experiments.formatting import format_duration, format_stat
from keras_lbreg.experiments.statistics import Stat
from keras_lbreg.search.events import (
    ConfirmEnded,
    ConfirmProgress,
    ConfirmStarted,
    SearchEnded,
    SearchStarted,
    TrialEnded,
    TrialProgress,
    TrialStarted,
)

ENDINGS = {
    "trials": "all trials are done",
    "budget": "the budget is used up",
    "exhausted": "nothing is left to try",
}


class TuneLines(EventDisplay):
    """Prints one line when a trial begins and one when it ends.

    Use it as a context manager and give it to `run_search` and `confirm` as
    `on_event`. A worker of several machines hears of its own trials alone.

    Args:
        console: The `rich.console.Console` to print to.
    """

    def __init__(self, console):
        self.console = console
        self.handlers = {
            SearchStarted: self.on_search_started,
            TrialStarted: self.on_trial_started,
            TrialProgress: self.on_trial_progress,
            TrialEnded: self.on_trial_ended,
            SearchEnded: self.on_search_ended,
            ConfirmStarted: self.on_confirm_started,
            ConfirmProgress: self.on_confirm_progress,
            ConfirmEnded: self.on_confirm_ended,
        }
        self.titles = {arm.name: arm.title for arm in standard_arms()}
        self.total = None
        self.epochs = 0
        self.several_sizes = False
        self.trials = {}
        self.best = None
        self.time_left = TuneTimeLeft(0)

    def on_search_started(self, event):
        search = event.search
        self.total, self.epochs = search.trials, event.epochs
        resolved = event.results.manifest["resolved"]
        self.several_sizes = len(resolved["batch_sizes"]) > 1
        # What is running there was interrupted, and starts again.
        ended = [t for t in event.results.trials if t.status != "running"]
        self.trials = {trial.id: trial for trial in ended}
        self.best = event.results.best
        self.time_left = TuneTimeLeft(
            search.trials,
            len(ended),
            search.workers,
            search.budget,
            event.results.elapsed,
        )
        print_search(event, self.console)

    def on_trial_started(self, event):
        self.trials[event.trial.id] = event.trial
        self.time_left.start(event.trial.id)
        again = ", going on" if event.resumed else ""
        self.announce(
            f"Trial {event.trial.id}{again}: {self.settings(event.trial)}"
        )

    def on_trial_progress(self, event):
        """Nothing to print: the next line is that of the end."""

    def on_trial_ended(self, event):
        trial = event.trial
        self.trials[trial.id] = trial
        self.best = event.best
        self.time_left.end(trial.id)
        text = f"Trial {trial.id}: {outcome(trial)}"
        if self.total is not None:
            text = f"[{self.ended_count}/{self.total}] {text}"
        if self.best is not None and self.best.id == trial.id:
            text += "; the best so far"
        elif self.best is not None:
            text += f"; best {accuracy_text(self.best)} % ({self.best.id})"
        left = self.time_left.remaining()
        if left and self.ended_count < (self.total or 0):
            text += f"; about {format_duration(left)} left"
        self.announce(text)

    def on_search_ended(self, event):
        why = ENDINGS.get(event.results.ended_why, event.results.ended_why)
        self.announce(
            f"The search has ended: {why}. {count_text(event.results)}; "
            f"{format_duration(event.results.elapsed)} of searching."
        )

    def on_confirm_started(self, event):
        seeds = ", ".join(map(str, event.seeds))
        self.announce(
            "Comparing the best trial with the small and the untuned large "
            f"batch, on fresh seeds ({seeds}) and all training data."
        )

    def on_confirm_progress(self, event):
        if event.epoch == event.epochs:
            self.announce(
                f"{self.title(event.arm)}, seed {event.seed}: val. accuracy "
                f"{100 * event.val_accuracy:.1f} %"
            )

    def on_confirm_ended(self, event):
        """Nothing to print: the table follows."""

    @property
    def ended_count(self):
        return sum(t.status != "running" for t in self.trials.values())

    def settings(self, trial):
        """The configuration of a trial in short form."""
        return settings_text(trial.configuration, self.several_sizes)

    def title(self, arm):
        """The title of an arm; the winner's is its name."""
        return self.titles.get(arm, arm.capitalize())

    def announce(self, line):
        self.console.print(line, soft_wrap=True, markup=False)


def outcome(trial):
    """Return how a trial ended, in a few words."""
    if trial.status == "failed":
        return f"failed: {reason_text(trial)}"
    return (
        f"val. accuracy {accuracy_text(trial)} % in "
        f"{format_duration(trial.seconds)} of training"
    )


def reason_text(trial):
    """Return why a trial failed, on one line."""
    return " ".join(trial.reason.split())


def accuracy_text(trial):
    """Return the accuracy in percent, `±` its deviation between seeds."""
    accuracies = (run.val_accuracy for run in trial.executions)
    return format_stat(Stat.of(accuracies), scale=100)


def count_text(results):
    """Return how many trials of a search completed and failed."""
    completed = len(results.of_status("completed"))
    failed = len(results.of_status("failed"))
    text = "1 trial" if completed == 1 else f"{completed} trials"
    return f"{text} completed" + (f", {failed} failed" if failed else "")
