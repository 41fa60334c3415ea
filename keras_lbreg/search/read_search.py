"""Read the folder of a search."""

import dataclasses
import pathlib
from types import NoneType

from keras_lbreg.experiments.json_file import read_json
from keras_lbreg.search.ledger import (
    EXECUTION_ENDED,
    SEARCH_ENDED,
    SESSION,
    TRIAL_CREATED,
    TRIAL_ENDED,
    TRIAL_STARTED,
    Ledger,
)
from keras_lbreg.search.search import Search
from keras_lbreg.search.search_results import (
    Execution,
    SearchResults,
    Trial,
)

SCHEMA = 1

SHAPE = {
    "created": str,
    "versions": dict,
    "backend": str,
    "device": str,
    "git_commit": (str, NoneType),
    "dataset": dict,
    "search": {"dataset": str, "ranges": dict, "trials": int},
    "resolved": {
        "batch_sizes": [int],
        "base_batch_size": int,
        "epochs": int,
        "replicas": int,
        "samples": int,
    },
    "space": [dict],
}


def read_search(path):
    """Read the folder of a search, ended or not.

    Args:
        path: The folder, such as `runs/tune-digits`.

    Returns:
        A `SearchResults`.

    Raises:
        ValueError: There is no search in the folder, or a file of it is
            damaged beyond a half-written last line.

    Example:

    >>> results = read_search("runs/tune-digits")
    >>> results.best.configuration

    Reference: `keras_lbreg.search.run_search` writes the folder.
    """
    path = pathlib.Path(path)
    manifest = read_search_manifest(path)
    space = space_of(manifest)
    # Its values count epochs; a search without it trains all of them.
    epochs = manifest["resolved"]["epochs"]
    trials, elapsed, why, sessions = {}, 0.0, None, 0
    for event in Ledger(path / "ledger.jsonl").read():
        elapsed = event["elapsed"]
        kind = event["event"]
        if kind == SESSION:
            sessions, why = sessions + 1, None
        elif kind == SEARCH_ENDED:
            why = event["why"]
        elif kind == TRIAL_CREATED:
            values = event["values"]
            trials[event["trial"]] = Trial(
                event["trial"],
                values,
                space.configuration(values),
                created=elapsed,
                until=values.get("tuner/epochs", epochs) / epochs,
            )
        else:
            trials[event["trial"]] = after(trials[event["trial"]], event)
    return SearchResults(
        path, manifest, tuple(trials.values()), elapsed, why, sessions
    )


def after(trial, event):
    """The trial after one more event."""
    kind, elapsed = event["event"], event["elapsed"]
    if kind == TRIAL_STARTED:
        started = elapsed if trial.started is None else trial.started
        changes = {"worker": event["worker"], "started": started}
    elif kind == EXECUTION_ENDED:
        names = (field.name for field in dataclasses.fields(Execution))
        run = Execution(**{name: event[name] for name in names})
        changes = {"executions": (*trial.executions, run)}
    elif kind == TRIAL_ENDED:
        changes = {
            "status": event["status"].lower(),
            "score": event["score"],
            "reason": event["reason"],
            "ended": elapsed,
            "peak_memory": event["peak_memory"],
        }
    return dataclasses.replace(trial, **changes)


def space_of(manifest):
    """The `SearchSpace` of a `search.json`."""
    resolved = manifest["resolved"]
    return Search.from_json(manifest["search"]).space(
        resolved["batch_sizes"],
        resolved["base_batch_size"],
        replicas=resolved["replicas"],
        dreg_layer=resolved["dreg_layer"],
    )


def read_search_manifest(path):
    """The content of the `search.json` in a folder."""
    file = pathlib.Path(path) / "search.json"
    if not file.is_file():
        raise ValueError(
            "Invalid value for argument `path`. Expected a folder that "
            "`lbreg tune` has written (with a search.json). Received: "
            f"path={str(path)!r}"
        )
    content = read_json(file, dict)
    if content.get("schema") != SCHEMA:
        raise ValueError(
            f"Cannot read {file}: it has schema {content.get('schema')!r}, "
            f"this version reads {SCHEMA}. Use the version of keras-lbreg "
            "that wrote it, or search into another folder."
        )
    return read_json(file, SHAPE)
