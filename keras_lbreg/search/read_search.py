"""Read the folder of a search."""

import pathlib
from types import NoneType

from keras_lbreg.experiments.json_file import read_record
from keras_lbreg.search.ledger import Ledger
from keras_lbreg.search.search_state import SearchState

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

    The folder holds

    ```
    search.json            what is searched, where, with what
    ledger.jsonl           everything that happened, in order
    trials/<id>/spec.json  what the trial's process was told
    trials/<id>/log.txt    what it printed
    trials/<id>/           its runs, see `keras_lbreg.experiments.read_results`
    ```

    and what was made of it at the end.

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
    events = Ledger(path / "ledger.jsonl").read()
    return SearchState(manifest, events).results(path)


def read_search_manifest(path):
    """The content of the `search.json` in a folder."""
    file = pathlib.Path(path) / "search.json"
    return read_record(file, SHAPE, SCHEMA, "lbreg tune")
