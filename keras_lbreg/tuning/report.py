"""The trials of a search: read, ranked, as a table, plots and a page.

None of it needs KerasTuner, whose files are JSON.
"""

import csv
import dataclasses
import io
import math
import pathlib
import re
import statistics

from keras_lbreg.comparison import table
from keras_lbreg.comparison.results import (
    MANIFEST,
    read_manifest,
    read_results,
)
from keras_lbreg.comparison.statistics import Stat, headline
from keras_lbreg.comparison.table import (
    format_number_stat,
    format_stat,
    markdown_table,
)
from keras_lbreg.files import read_json, write_file
from keras_lbreg.formatting import MISSING, format_duration
from keras_lbreg.techniques import TECHNIQUES

TOP = 10
COLUMNS = ("trial", "{objective}", "behind", "seeds", "time", "settings")


@dataclasses.dataclass(frozen=True)
class TrialRecord:
    """One trial of a search, as KerasTuner's project folder holds it.

    Args:
        trial_id: Its name.
        status: `"completed"`, `"failed"` or `"running"`.
        values: Hyperparameter values by name.
        score: Mean of the objective over its executions, `nan` without any.
        metrics: By seed the metrics of an execution.
        reason: Why it failed, else `None`.
        part: Share of the epochs that it trained for: below 1 where Hyperband
            stopped it.
    """

    trial_id: str
    status: str
    values: dict
    score: float = math.nan
    metrics: dict = dataclasses.field(default_factory=dict)
    reason: str | None = None
    part: float = 1.0

    def stat(self, objective):
        """The objective over the executions, a `Stat`."""
        return Stat.of(found[objective] for found in self.metrics.values())

    @property
    def seconds(self):
        """Seconds of training, in all executions."""
        return sum(found["seconds"] for found in self.metrics.values())

    @property
    def settings(self):
        """The values that are not the tuner's own."""
        return {k: v for k, v in self.values.items() if "/" not in k}


def read_trials(folder):
    """The `TrialRecord`s of a project folder, in the order of their start."""
    folder = pathlib.Path(folder)
    if not (folder / "oracle.json").is_file():
        return []
    oracle = read_json(folder / "oracle.json")
    longest = oracle.get("max_epochs")
    found = []
    for trial_id in oracle["start_order"]:
        own = folder / f"trial_{trial_id}"
        state = read_json(own / "trial.json")
        values = state["hyperparameters"]["values"]
        error = own / "error.txt"
        score = state["score"]
        status = state["status"].lower()
        failed = status in ("failed", "invalid")
        found.append(
            TrialRecord(
                trial_id,
                status,
                values,
                math.nan if score is None else score,
                read_executions(own),
                reason_of(error, state["message"]) if failed else None,
                values["tuner/epochs"] / longest
                if longest and "tuner/epochs" in values
                else 1.0,
            )
        )
    return found


def read_executions(folder):
    """Metrics by seed of the executions of a trial that have ended.

    `"seconds"` of training are among them.
    """
    paths = sorted(pathlib.Path(folder).glob("execution-*/metrics.json"))
    return {
        content["seed"]: {**content["metrics"], "seconds": content["seconds"]}
        for content in map(read_json, paths)
    }


def reason_of(error, message):
    if error.is_file():
        return error.read_text("utf-8").splitlines()[0]
    return (message or "unknown").strip().splitlines()[-1]


def trial_statistics(tuner):
    """Mean and spread of every completed trial, the best trial first.

    ```
    mean = (1/n) sum_k v_k,   std = sqrt(sum_k (v_k - mean)^2 / (n - 1))
    ```

    KerasTuner keeps the mean of a trial's executions alone. A difference
    between two trials that is smaller than the spread of either says little;
    of many trials the best also looks better than it is.

    Args:
        tuner: A KerasTuner tuner of a `LargeBatchHyperModel`.

    Returns:
        List of pairs of a trial's id and its statistic, with the attributes
        `mean`, `std` (NaN for one execution) and `n`.

    Raises:
        ValueError: A trial was made by another hypermodel.

    Example:

    >>> for trial_id, stat in keras_lbreg.tuning.trial_statistics(tuner):
    ...     print(trial_id, stat.mean, stat.std)

    Reference:

    - [`executions_per_trial`](https://keras.io/api/keras_tuner/tuners)
    """
    oracle = tuner.oracle
    found = []
    for trial in oracle.get_best_trials(len(oracle.trials)):
        if trial.status != "COMPLETED":
            continue
        executions = read_executions(tuner.get_trial_dir(trial.trial_id))
        if not executions:
            raise ValueError(
                "Invalid value for argument `tuner`. Expected a tuner of a "
                "`keras_lbreg.tuning.LargeBatchHyperModel`. Received: one "
                f"whose trial {trial.trial_id} has no records of it"
            )
        value = oracle.objective.get_value
        found.append((trial.trial_id, Stat.of(map(value, executions.values()))))
    return found


@dataclasses.dataclass(frozen=True)
class TuneResult:
    """What a search has come to.

    Args:
        path: Its folder.
        manifest: Content of its `manifest.json`.
        trials: The `TrialRecord`s in the order of their start.
        confirmation: The `keras_lbreg.comparison.Results` of the winner on
            fresh seeds, or `None`.
        tuner: KerasTuner's tuner, where the search was made by this process.

    Attributes:
        best: The best `TrialRecord`, or `None`.
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
    confirmation: object = None
    tuner: object = None

    @property
    def ranking(self):
        """The `Ranking` of the trials."""
        return rank(self.trials, self.manifest["workload"])

    @property
    def best(self):
        return next(iter(self.ranking.trials), None)

    @property
    def best_path(self):
        return self.path / "best.json"

    @property
    def report_path(self):
        return self.path / "report.html"

    def headline(self):
        """What the search and the comparison on fresh seeds come to."""
        holdout = self.manifest["config"]["holdout"]
        text = search_headline(self.ranking, holdout)
        if self.confirmation is not None:
            text += f" On fresh seeds: {headline(self.confirmation)}"
        return text

    def table(self):
        """The best trials as Markdown."""
        return to_markdown(self.ranking)

    def __str__(self):
        text = f"{self.headline()}\n\n{self.table()}"
        if self.confirmation is not None:
            text += f"\n{self.confirmation.table()}"
        return text

    def to_dataframe(self):
        """One row a trial, as a `pandas.DataFrame`."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "`to_dataframe` needs pandas: `pip install pandas`."
            ) from error
        objective = self.manifest["workload"]["objective"]
        return pd.read_csv(io.StringIO(to_csv(self.trials, objective)))


def read_search(path):
    """The `TuneResult` in a folder that `keras_lbreg.tune` has written."""
    path = pathlib.Path(path)
    manifest = read_manifest(path)
    confirmation = None
    if (path / "confirm" / MANIFEST).is_file():
        confirmation = read_results(path / "confirm")
    trials = tuple(read_trials(path / "search"))
    return TuneResult(path, manifest, trials, confirmation)


@dataclasses.dataclass(frozen=True)
class Ranking:
    """The completed trials of a search in their order, and the noise.

    ```
    margin = 2 * s * sqrt(2 / n)
    ```

    is two standard errors of the difference of two means over `n` seeds, with
    the deviation `s` between seeds pooled over the better half of the trials.

    Args:
        objective: Name of the objective.
        maximize: Whether more is better.
        is_share: Whether it is a share, printed in per cent.
        trials: The completed `TrialRecord`s that trained longest, the best
            first.
        shorter: Those that the tuner stopped earlier, which do not compare.
        failed: The failed ones.
        margin: See above, `nan` where no trial has two seeds.
    """

    objective: str
    maximize: bool
    is_share: bool
    trials: tuple
    shorter: tuple
    failed: tuple
    margin: float

    @property
    def within(self):
        """Trials less than the margin behind the best."""
        return [x for x in self.trials[1:] if self.behind(x) < self.margin]

    def behind(self, trial):
        """How much worse than the best a trial is."""
        difference = self.trials[0].score - trial.score
        return difference if self.maximize else -difference

    def text(self, stat, signed=False):
        """A value of the objective as people write it."""
        if self.is_share:
            return format_stat(stat, 1, 100, signed)
        return format_number_stat(stat, signed)


def rank(trials, workload):
    """The `Ranking`; `workload` as the manifest describes it."""
    maximize = workload["direction"] == "max"
    done = [trial for trial in trials if trial.status == "completed"]
    done.sort(key=lambda trial: trial.score, reverse=maximize)
    longest = max((trial.part for trial in done), default=1.0)
    best = [trial for trial in done if trial.part == longest]
    stats = [trial.stat(workload["objective"]) for trial in best]
    half = [x for x in stats[: math.ceil(len(stats) / 2)] if x.n > 1]
    freedom = sum(stat.n - 1 for stat in half)
    margin = math.nan
    if freedom:
        squares = sum((stat.n - 1) * stat.std**2 for stat in half)
        margin = 2 * math.sqrt(squares / freedom * 2 / stats[0].n)
    return Ranking(
        workload["objective"],
        maximize,
        bool(workload["is_share"]),
        tuple(best),
        tuple(trial for trial in done if trial.part < longest),
        tuple(trial for trial in trials if trial.reason is not None),
        margin,
    )


def search_headline(ranking, holdout=True):
    """Which trial is best, and how far that is from chance."""
    if not ranking.trials:
        return "No trial has completed."
    best = ranking.trials[0]
    stat = best.stat(ranking.objective)
    count = len(ranking.trials) + len(ranking.shorter)
    data = "held-out training data" if holdout else "the validation data"
    unit = " %" if ranking.is_share else ""
    text = (
        f"Trial {best.trial_id} is the best of {count}: {ranking.objective} "
        f"{ranking.text(stat)}{unit} on {data}. "
    )
    if best.part < 1:
        text += f"It trained for {100 * best.part:.0f} % of the epochs only. "
    if math.isnan(ranking.margin):
        return (
            f"{text}With one seed for each trial nothing is known of the noise "
            "between seeds, and the best of many looks better than it is."
        )
    within = len(ranking.within)
    others = "1 other trial is" if within == 1 else f"{within} others are"
    return (
        f"{text}{others} within noise of it, two standard errors of a "
        "difference. The best of many looks better than it is."
    )


def columns(ranking):
    unit = ", %" if ranking.is_share else ""
    return tuple(
        name.format(objective=ranking.objective + unit) for name in COLUMNS
    )


def top_rows(ranking, count=TOP):
    """The best trials as texts; `~` marks what noise explains."""
    rows = []
    within = ranking.within
    for trial in ranking.trials[:count]:
        stat = trial.stat(ranking.objective)
        behind = Stat(ranking.behind(trial), math.nan, 1)
        noise = "~" if trial in within else ""
        rows.append(
            (
                trial.trial_id,
                ranking.text(stat),
                f"{noise}{ranking.text(behind)}" if rows else MISSING,
                str(stat.n),
                format_duration(trial.seconds),
                settings_text(trial.settings),
            )
        )
    return rows


def settings_text(settings):
    """Values in one line: `512, rate x1.3, LR(sqrt, 2), GBN(32)`."""
    words = []
    if "batch_size" in settings:
        words.append(f"{settings['batch_size']:,}")
    factor = settings.get("learning_rate_factor", 1.0)
    if factor != 1:
        words.append(f"rate x{factor:.2g}")
    known = {"batch_size", "learning_rate_factor"}
    for technique in TECHNIQUES:
        name = technique.name
        own = {
            key: settings[f"{name}.{key}"]
            for key in technique.defaults
            if f"{name}.{key}" in settings
        }
        known |= {name, *(f"{name}.{key}" for key in own)}
        if settings.get(name, bool(own)):
            values = ", ".join(value_text(value) for value in own.values())
            words.append(technique.symbol + (f"({values})" if own else ""))
    words += [
        f"{k}={value_text(v)}" for k, v in settings.items() if k not in known
    ]
    return ", ".join(words)


def value_text(value):
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def failures(ranking):
    """Lines of a reason with the trials that failed for it."""
    by_reason = {}
    for trial in ranking.failed:
        # Reasons that differ in a number alone are one.
        key = re.sub(r"\d+(\.\d+)?", "N", trial.reason)
        by_reason.setdefault(key, []).append(trial)
    lines = []
    for own in sorted(by_reason.values(), key=len, reverse=True):
        ids = ", ".join(trial.trial_id for trial in own)
        lines.append(f"{own[0].reason} (trials {ids})")
    return lines


def to_markdown(ranking):
    """The best trials, and why others failed."""
    text = markdown_table(columns(ranking), top_rows(ranking))
    return text + "".join(f"\nFailed: {line}\n" for line in failures(ranking))


def to_csv(trials, objective):
    """All trials, a hyperparameter a column; empty where it does not exist."""
    names = list(dict.fromkeys(k for t in trials for k in t.settings))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    mean, std = f"{objective}_mean", f"{objective}_std"
    columns = ["trial", "status", "reason", mean, std, "executions", "part"]
    writer.writerow([*columns, "seconds", *names])
    for trial in trials:
        stat = trial.stat(objective)
        fields = [trial.trial_id, trial.status, trial.reason, stat.mean]
        fields += [stat.std, stat.n, trial.part, trial.seconds]
        fields += [trial.settings.get(name) for name in names]
        writer.writerow("" if x is None or x != x else x for x in fields)
    return buffer.getvalue()


def write_report(result):
    """Writes `report.html`, `table.md`, `trials.csv` and `plots/`."""
    from keras_lbreg.page import render_page
    from keras_lbreg.plot_style import to_png, to_svg

    folder, manifest, ranking = result.path, result.manifest, result.ranking
    config = manifest["config"]
    write_file(folder / "table.md", result.table())
    trials = to_csv(result.trials, ranking.objective)
    write_file(folder / "trials.csv", trials)
    figures = {}
    if ranking.trials:
        figures = {
            "progress": plot_progress(result.trials, ranking),
            "slices": plot_slices(ranking),
        }
    for name, figure in figures.items():
        write_file(folder / "plots" / f"{name}.png", to_png(figure))
    content = {
        "title": f"Search on {manifest['workload']['title']}",
        "headline": search_headline(ranking, config["holdout"]),
        "facts": [
            f"{len(result.trials)} trials by {config['engine']}",
            f"seeds of a trial: {config['executions']}",
            f"{manifest['backend']} on {manifest['device']}",
            manifest["created"][:10],
        ],
        "columns": columns(ranking),
        "rows": top_rows(ranking),
        "failures": failures(ranking),
        "figures": {name: to_svg(x) for name, x in figures.items()},
        "confirmation": confirmation_content(result.confirmation),
        "config": config,
    }
    page = render_page("search.html.j2", content, __package__)
    write_file(result.report_path, page)


def confirmation_content(results):
    """What the page shows of the comparison on fresh seeds."""
    if results is None:
        return None
    return {
        "headline": headline(results),
        "columns": table.columns(results),
        "rows": table.table_rows(results),
        "seeds": results.manifest["seeds"],
    }


def plot_progress(trials, ranking):
    """Every trial, and the best one so far."""
    from keras_lbreg.plot_style import GREY, PALETTE, new_figure, plot_style

    done = [x for x in trials if x in ranking.trials]
    numbers = [trials.index(trial) + 1 for trial in done]
    scale = 100 if ranking.is_share else 1
    scores = [scale * trial.score for trial in done]
    better = max if ranking.maximize else min
    best = [better(scores[: i + 1]) for i in range(len(scores))]
    with plot_style():
        figure = new_figure(7.0)
        axis = figure.subplots()
        axis.plot(numbers, scores, "o", color=GREY, markersize=4)
        axis.step(numbers, best, where="post", color=PALETTE[0])
        axis.set_xlabel("trial")
        axis.set_ylabel(ranking.objective + (", %" if scale == 100 else ""))
        zoom(axis, scores, ranking)
    return figure


def plot_slices(ranking):
    """The objective by each hyperparameter."""
    from keras_lbreg.plot_style import PALETTE, new_figure, plot_style

    scale = 100 if ranking.is_share else 1
    values = {}
    for trial in ranking.trials:
        for name, value in trial.settings.items():
            values.setdefault(name, set()).add(value)
    varied = {name: own for name, own in values.items() if len(own) > 1}
    wide = min(4, max(1, len(varied)))
    rows = max(1, math.ceil(len(varied) / wide))
    with plot_style():
        figure = new_figure(max(5.0, 3.0 * wide), 2.4 * rows)
        axes = figure.subplots(rows, wide, sharey=True, squeeze=False)
        for axis in axes.flat[len(varied) :]:
            axis.set_axis_off()
        for axis, name in zip(axes.flat, varied, strict=False):
            values = varied[name]
            own = [t for t in ranking.trials if name in t.settings]
            places = [t.settings[name] for t in own]
            numeric = all(type(x) in (int, float) for x in values)
            if not numeric:
                order = sorted(map(str, values))
                places = [order.index(str(x)) for x in places]
                axis.set_xticks(range(len(order)), order)
                axis.set_xlim(-0.6, len(order) - 0.4)
            elif min(values) > 0 and max(values) > 8 * min(values):
                axis.set_xscale("log")
            scores = [scale * t.score for t in own]
            axis.plot(places, scores, "o", color=PALETTE[0], markersize=4)
            axis.plot(places[:1], scores[:1], "*", color=PALETTE[3], ms=10)
            axis.set_title(
                name + correlation(places, scores, len(varied)),
                fontsize=9,
                fontweight="normal",
            )
            axis.tick_params(labelsize=8)
        zoom(axes[0, 0], [scale * t.score for t in ranking.trials], ranking)
        figure.supylabel(ranking.objective, fontsize=9)
    return figure


def zoom(axis, scores, ranking):
    """Leaves out of sight what is far worse than the better half."""
    if len(scores) < 4:
        return
    ordered = sorted(scores, reverse=ranking.maximize)
    best, middle = ordered[0], statistics.median(scores)
    span = abs(best - middle) or abs(best) * 0.01 or 1.0
    low, high = sorted((best - 3 * (best - middle or span), best))
    axis.set_ylim(low - 0.2 * span, high + 0.2 * span)


def correlation(places, scores, tests):
    """The rank correlation, where chance does not explain it."""
    if len(set(places)) < 2 or len(set(scores)) < 2 or len(scores) < 4:
        return ""
    from scipy.stats import spearmanr

    found = spearmanr(places, scores)
    # Bonferroni's correction for as many panels.
    if not found.pvalue < 0.05 / tests:
        return ""
    return f"  (ρ = {found.statistic:+.2f})"
