"""The trials of a search as rows, Markdown, CSV and JSON."""

import csv
import io
import json
import math
import re

from keras_lbreg.experiments.formatting import (
    MISSING,
    accuracy_decimals,
    format_duration,
    format_stat,
)
from keras_lbreg.experiments.statistics import Stat
from keras_lbreg.search.pages.dimensions import format_value, settings_of
from keras_lbreg.search.pages.ranking import rank
from keras_lbreg.techniques import names

COLUMNS = ("trial", "accuracy, %", "behind", "seeds", "time", "settings")
TOP = 10


def top_rows(results, count=TOP):
    """Return the best trials as texts, in the order of `COLUMNS`.

    What is less behind the winner than noise explains has a `~`.

    Args:
        results: A `SearchResults`.
        count: Number of trials, at most.

    Returns:
        A list of tuples.
    """
    ranking = rank(results)
    top = ranking.trials[:count]
    stats = [ranking.accuracy[trial.id] for trial in top]
    decimals = max(1, accuracy_decimals(stats))
    rows = []
    for trial, stat in zip(top, stats, strict=True):
        behind = 100 * (stats[0].mean - stat.mean)
        noise = "~" if trial in ranking.within else ""
        rows.append(
            (
                trial.id,
                format_stat(stat, decimals, 100),
                f"{noise}{behind:.{decimals}f}" if rows else MISSING,
                str(stat.n),
                format_duration(trial.seconds),
                settings_text(trial),
            )
        )
    return rows


def settings_text(trial):
    """Return what a trial trains with, by the names that options take."""
    settings = settings_of(trial)
    words = [
        f"batch {format_value(settings['batch_size'])}",
        f"learning rate x{format_value(settings['learning_rate_factor'])}",
    ]
    for technique in names():
        if technique in settings:
            own = ", ".join(
                f"{name.partition('.')[2]}={format_value(value)}"
                for name, value in settings.items()
                if name.startswith(f"{technique}.")
            )
            words.append(f"{technique}({own})" if own else technique)
    return "; ".join(words)


def failures(results):
    """Return `(reason, trial ids)` of the failed trials, most frequent first.

    Reasons that differ in a number alone are one, with `N` in its place.
    """
    by_reason = {}
    for trial in results.of_status("failed"):
        reason = re.sub(r"\d+(\.\d+)?", "N", trial.reason or "unknown")
        by_reason.setdefault(reason, []).append(trial)
    found = [
        (own[0].reason if len(own) == 1 else reason, [x.id for x in own])
        for reason, own in by_reason.items()
    ]
    return sorted(found, key=lambda pair: -len(pair[1]))


def to_markdown(results):
    """Return the best trials and the reasons of the failed ones as Markdown.

    Args:
        results: A `SearchResults`.
    """
    rule = [":--", *["--:"] * (len(COLUMNS) - 2), ":--"]
    rows = [COLUMNS, rule, *top_rows(results)]
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    for reason, trials in failures(results):
        text += f"\nFailed ({len(trials)}): {reason}: {', '.join(trials)}\n"
    return text


def trial_fields(trial):
    """Return one trial as plain data; what is not there is `None`."""
    stat = Stat.of(run.val_accuracy for run in trial.executions)
    return {
        "trial": trial.id,
        "status": trial.status,
        "reason": trial.reason,
        "val_accuracy_mean": none_if_nan(stat.mean),
        "val_accuracy_std": none_if_nan(stat.std),
        "executions": stat.n,
        "epochs": max((run.epochs for run in trial.executions), default=None),
        "train_seconds": trial.seconds,
        "created": trial.created,
        "ended": trial.ended,
    }


def to_json(results):
    """Return all trials as JSON, with settings and executions.

    Accuracies are fractions, times are seconds; `created` and `ended` count
    from the beginning of the search.

    Args:
        results: A `SearchResults`.
    """
    trials = [
        {
            **trial_fields(trial),
            "settings": settings_of(trial),
            "seeds": {run.seed: run.val_accuracy for run in trial.executions},
        }
        for trial in results.trials
    ]
    return json.dumps(trials, indent=2, allow_nan=False) + "\n"


def to_csv(results):
    """Return all trials as CSV: the fields of `to_json`, settings in columns.

    An empty field is a number that does not exist, or the setting of a
    technique that is off.

    Args:
        results: A `SearchResults`.
    """
    settings = [settings_of(trial) for trial in results.trials]
    columns = list(dict.fromkeys(name for own in settings for name in own))
    technique_order = names()
    columns.sort(
        key=lambda name: (
            technique_order.index(name.partition(".")[0])
            if name.partition(".")[0] in technique_order
            else -1
        )
    )
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for trial, own in zip(results.trials, settings, strict=True):
        fields = trial_fields(trial)
        if trial is results.trials[0]:
            writer.writerow([*fields, *columns])
        cells = [*fields.values(), *(own.get(name) for name in columns)]
        writer.writerow("" if cell is None else cell for cell in cells)
    return buffer.getvalue()


def none_if_nan(number):
    return None if math.isnan(number) else number
