"""The trials of a search: read, ranked, as a table, plots and a page.

None of it needs KerasTuner, whose files are JSON.
"""

import dataclasses
import functools
import itertools
import math
import pathlib
import statistics

from keras_lbreg.comparison import table
from keras_lbreg.comparison.results import (
    MANIFEST,
    Judged,
    read_manifest,
    read_results,
)
from keras_lbreg.comparison.statistics import Stat, headline
from keras_lbreg.files import read_json, write_file
from keras_lbreg.formatting import format_duration, markdown_table
from keras_lbreg.page import render_page
from keras_lbreg.plot_style import (
    GREY,
    PALETTE,
    PANEL_HEIGHT,
    Panel,
    Plot,
    log_axis,
)
from keras_lbreg.techniques import TECHNIQUES
from keras_lbreg.training.records import read_run

# Trials in the table.
TOP = 10

# Values of a hyperparameter that an axis has a place for each.
MOST_WORDS = 8


@dataclasses.dataclass(frozen=True)
class TrialRecord:
    """One trial of a search, as KerasTuner's project folder holds it.

    Args:
        trial_id: Its name.
        status: `"completed"`, `"failed"`, `"running"` or `"damaged"` (its
            records are not those that it wrote).
        values: Hyperparameter values by name.
        stat: The objective over its executions, with the attributes `mean`,
            `std` (NaN for one execution) and `n`.
        seconds: Seconds of training, in all executions.
        epochs: Those after which Hyperband stopped it, else `None`.
        reason: Why it failed or is damaged, else `None`.
    """

    trial_id: str
    status: str
    values: dict
    stat: Stat
    seconds: float
    epochs: int | None = None
    reason: str | None = None


def read_trials(folder, objective):
    """The trials of a search with a `keras_lbreg.tuning.LargeBatchHyperModel`.

    KerasTuner keeps the mean of a trial's executions alone. A difference
    between two trials that is smaller than the spread of either says little.

    Args:
        folder: The `project_dir` of any KerasTuner tuner.
        objective: Name of a metric, such as `"val_accuracy"`.

    Returns:
        List of `TrialRecord`s, in the order of their start.

    Example:

    >>> folder = tuner.project_dir
    >>> for trial in keras_lbreg.tuning.read_trials(folder, "val_accuracy"):
    ...     print(trial.trial_id, trial.stat.mean, trial.stat.std)
    """
    oracle = pathlib.Path(folder, "oracle.json")
    if not oracle.is_file():
        return []
    trials = []
    for trial_id in read_json(oracle)["start_order"]:
        own = oracle.parent / f"trial_{trial_id}"
        state = read_json(own / "trial.json")
        status, reason = state["status"].lower(), None
        if status in ("failed", "invalid"):
            reason = reason_of(own, state["message"])
        runs = []
        for path in own.glob("runs/*/seed-*"):
            seed = int(path.name.removeprefix("seed-"))
            run = read_run(own, path.parent.name, seed)
            if run and run.status == "finished":
                runs.append(run)
            elif run and run.status == "damaged" and status == "completed":
                status, reason = "damaged", run.reason
        values = state["hyperparameters"]["values"]
        trials.append(
            TrialRecord(
                trial_id,
                status,
                {k: v for k, v in values.items() if "/" not in k},
                Stat.of(run.epochs[-1].logs[objective] for run in runs),
                sum(run.time for run in runs),
                values.get("tuner/epochs"),
                reason,
            )
        )
    return trials


def reason_of(folder, message):
    """Why a trial failed, in one line."""
    file = pathlib.Path(folder, "error.txt")
    if file.is_file():
        return file.read_text("utf-8").splitlines()[0]
    return (message or "unknown").strip().splitlines()[-1]


@dataclasses.dataclass(frozen=True)
class TuneResult(Judged):
    """What a search has come to.

    Args:
        path: Its folder.
        manifest: Content of its `manifest.json`.
        trials: The `TrialRecord`s in the order of their start.
        tuner: KerasTuner's tuner, where the search was made by this process.

    Attributes:
        confirmation: The `keras_lbreg.comparison.Results` of the winner on
            fresh seeds, or `None`.
        ranking: The completed trials, the best first; of Hyperband those that
            trained longest, as the others do not compare.
        best: The best of them, or `None`.
        best_path: The file of the winner for `keras_lbreg.tuning.read_best`.
        report_path: The HTML report.

    Example:

    >>> result = keras_lbreg.tune(workload, batch_size=64, trials=5)
    >>> print(result)
    >>> arm, _ = keras_lbreg.tuning.read_best(result.best_path)
    """

    path: pathlib.Path
    manifest: dict
    trials: tuple
    tuner: object = None

    @property
    def ranking(self):
        done = [x for x in self.trials if x.status == "completed"]
        longest = max((x.epochs or 0 for x in done), default=0)
        done = [x for x in done if (x.epochs or 0) == longest]
        return sorted(done, key=lambda x: x.stat.mean, reverse=self.maximize)

    @property
    def best(self):
        return next(iter(self.ranking), None)

    @property
    def best_path(self):
        return self.path / "best.json"

    @property
    def confirmation_path(self):
        """The folder of the comparison, which has one batch size."""
        return self.path / f"confirm-{self.best.values['batch_size']}"

    @property
    def confirmation(self):
        if not self.best or not (self.confirmation_path / MANIFEST).is_file():
            return None
        found = read_results(self.confirmation_path)
        # It may be a former winner's alone.
        name = f"trial_{self.best.trial_id}"
        return found if name in found.arm_names else None

    def headline(self):
        """What the search and the comparison on fresh seeds come to."""
        text, confirmation = search_words(self), self.confirmation
        if confirmation is not None:
            text += f" On fresh seeds: {headline(confirmation)}"
        return text

    def table(self):
        """The best trials as Markdown, and why others failed."""
        failed = "".join(f"\nFailed: {line}\n" for line in failures(self))
        return markdown_table(columns(self), table_rows(self)) + failed

    def __str__(self):
        confirmation = self.confirmation
        text = f"{self.headline()}\n\n{self.table()}"
        return f"{text}\n{confirmation.table()}" if confirmation else text


def read_search(path, tuner=None):
    """The `TuneResult` in a folder that `keras_lbreg.tune` has written."""
    path, manifest = pathlib.Path(path), read_manifest(path)
    objective = manifest["workload"]["objective"]
    trials = tuple(read_trials(path / "search", objective))
    return TuneResult(path, manifest, trials, tuner)


def search_words(result):
    """Which trial is best, and how far that is from chance.

    Within noise of it are the trials less than two standard errors of a
    difference behind, `2 s sqrt(2 / n)`, with the deviation `s` between `n`
    seeds pooled over the better half of the trials.
    """
    ranking, config = result.ranking, result.manifest["config"]
    if not ranking:
        return "No trial has completed."
    best = ranking[0]
    data = "held-out training data" if config["holdout"] else "validation data"
    done = sum(trial.status == "completed" for trial in result.trials)
    text = (
        f"Trial {best.trial_id} is the best of {done}: {result.objective} "
        f"{score(result, best)}{' %' * result.is_share} on {data}"
    )
    if best.epochs not in (None, config["epochs"]):
        text += f", after {best.epochs} of {config['epochs']} epochs"
    half = [trial.stat for trial in ranking[: (len(ranking) + 1) // 2]]
    variances = [stat.std**2 for stat in half if stat.n > 1]
    noise = "With one seed for each trial nothing is known of the noise"
    if variances:
        margin = 2 * math.sqrt(2 * statistics.fmean(variances) / best.stat.n)
        behind = [abs(x.stat.mean - best.stat.mean) for x in ranking[1:]]
        within = sum(difference < margin for difference in behind)
        noise = f"Within noise of it (two standard errors): {within} others"
    return f"{text}. {noise}. The best of many looks better than it is."


def score(result, trial):
    """A trial's objective as people write it."""
    if result.is_share:
        return table.format_stat(trial.stat, 1, 100)
    return table.format_number_stat(trial.stat)


def columns(result):
    objective = result.objective + ", %" * result.is_share
    return ("trial", objective, "seeds", "time", "settings")


def table_rows(result):
    """The best trials as texts, in the order of `columns`."""
    return [
        (
            trial.trial_id,
            score(result, trial),
            str(trial.stat.n),
            format_duration(trial.seconds),
            settings_text(trial.values),
        )
        for trial in result.ranking[:TOP]
    ]


def settings_text(values):
    """`512, rate x1.3, LR(sqrt, 2), GBN(32), units=64`."""
    left = {
        name: f"{value:.2g}" if isinstance(value, float) else str(value)
        for name, value in values.items()
        if "/" not in name and value is not False
    }
    words = [left.pop("batch_size")]
    if "learning_rate_factor" in left:
        words.append(f"rate x{left.pop('learning_rate_factor')}")
    for technique in TECHNIQUES:
        on = left.pop(technique.name, None)
        names = [f"{technique.name}.{key}" for key in technique.defaults]
        own = ", ".join(left.pop(name) for name in names if name in left)
        if on or own:
            words.append(technique.symbol + (f"({own})" if own else ""))
    return ", ".join([*words, *(f"{k}={v}" for k, v in left.items())])


def failures(result):
    """Lines of a reason with the trials that failed for it."""
    trials = {}
    for trial in result.trials:
        if trial.reason is not None:
            trials.setdefault(trial.reason, []).append(trial.trial_id)
    return [f"{why} (trials {', '.join(ids)})" for why, ids in trials.items()]


def to_csv(result):
    """All trials, a hyperparameter a column; empty where it does not exist."""
    return table.csv_of(
        {
            "trial": trial.trial_id,
            "status": trial.status,
            "reason": trial.reason,
            **table.stat_fields(result.objective, trial.stat),
            "executions": trial.stat.n,
            "epochs": trial.epochs,
            "seconds": trial.seconds,
            **trial.values,
        }
        for trial in result.trials
    )


def write_report(result):
    """Writes `report.html`, `table.md`, `trials.csv` and `plots/`."""
    plots = make_plots(result)
    for plot in plots:
        write_file(result.path / "plots" / f"{plot.name}.png", plot.png())
    write_file(result.path / "table.md", result.table())
    write_file(result.path / "trials.csv", to_csv(result))
    manifest, confirmation = result.manifest, result.confirmation
    content = {
        "title": f"Search on {manifest['workload']['title']}",
        "headline": search_words(result),
        "facts": [
            f"{len(result.trials)} trials by {manifest['config']['engine']}",
            f"seeds of a trial: {manifest['config']['executions']}",
            f"{manifest['backend']} on {manifest['device']}",
            manifest["created"][:10],
        ],
        "columns": columns(result),
        "rows": table_rows(result),
        "failures": failures(result),
        "figures": plots,
        "confirmation": confirmation,
        "verdict": confirmation and headline(confirmation),
        "comparison": table,
        "config": manifest["config"],
    }
    page = render_page("search.html.j2", content, __package__)
    write_file(result.report_path, page)


def make_plots(result):
    """The `Plot`s: the trials one by one, and by each hyperparameter."""
    if result.best is None:
        return []
    values = {}
    for trial in result.ranking:
        for name, value in trial.values.items():
            values.setdefault(name, set()).add(value)
    progress = Panel("", functools.partial(draw_progress, result), PANEL_HEIGHT)
    plots = [Plot("progress", "Best so far", (progress,), "")]
    slices = [
        Panel(name, functools.partial(draw_slice, result, name), 2.6)
        for name in values
        if len(values[name]) > 1
    ]
    if slices:
        plots.append(Plot("slices", "By hyperparameter", tuple(slices), ""))
    return plots


def draw_progress(result, axis):
    ranking = result.ranking
    places = [n for n, x in enumerate(result.trials, 1) if x in ranking]
    scores = draw(result, axis, places, [result.trials[n - 1] for n in places])
    best = itertools.accumulate(scores, max if result.maximize else min)
    axis.step(places, list(best), where="post", color=PALETTE[0])
    axis.set_xlabel("trial")


def draw_slice(result, name, axis):
    trials = [trial for trial in result.ranking if name in trial.values]
    # Matplotlib shows words in the order in which they come.
    trials.sort(key=lambda trial: trial.values[name])
    places = [trial.values[name] for trial in trials]
    if not isinstance(places[0], float) and len({*places}) <= MOST_WORDS:
        places = list(map(str, places))
        axis.margins(x=0.3)
    scores = draw(result, axis, places, trials)
    if result.best in trials:
        winner = trials.index(result.best)
        axis.plot(places[winner], scores[winner], "*", color=PALETTE[3], ms=10)
    if isinstance(places[0], float) and 0 < 8 * places[0] < places[-1]:
        log_axis(axis)


def draw(result, axis, places, trials):
    """Draws the scores, which are returned, of trials.

    What is far worse than the better half is left out of sight.
    """
    scale = 100 if result.is_share else 1
    scores = [scale * trial.stat.mean for trial in trials]
    axis.plot(places, scores, "o", color=GREY, markersize=4)
    axis.set_ylabel(result.objective + ", %" * result.is_share)
    best = scale * result.best.stat.mean
    middle = scale * statistics.median(x.stat.mean for x in result.ranking)
    if best != middle:
        ends = best + 0.2 * (best - middle), best - 3.2 * (best - middle)
        axis.set_ylim(min(ends), max(ends))
    return scores
