"""The folder of a search, opened for writing."""

import contextlib
import datetime
import pathlib
import shutil

from keras_lbreg.experiments.json_file import write_json
from keras_lbreg.experiments.lock import ANOTHER_FOLDER, lock
from keras_lbreg.search.ledger import Ledger
from keras_lbreg.search.read_search import SCHEMA, read_search_manifest
from keras_lbreg.search.search import CHANGEABLE, PLACES

# All that a search and what is made of it leave in their folder.
FOLDERS = ("trials", "confirm", "plots", "tensorboard")
FILES = (
    "ledger.jsonl",
    "best.json",
    "trials.csv",
    "trials.json",
    "table.md",
    "report.html",
    # Last, so that a deletion that was cut short can be repeated.
    "search.json",
)


class SearchFolder(contextlib.AbstractContextManager):
    """`search.json` of a search, and the lock on its folder.

    Args:
        search: The `Search`.
        facts: What `check_search` returned.
        fresh: Whether to delete an earlier search in the folder first.

    Raises:
        ValueError: The folder holds another search, or trials of unknown
            origin, or another process is writing to it.

    Example:

    >>> with SearchFolder(search, facts, fresh=False) as folder:
    ...     folder.manifest["resolved"]

    Reference: `keras_lbreg.search.read_search` describes the folder.
    """

    def __init__(self, search, facts, fresh):
        self.path = pathlib.Path(search.out_dir)
        new = {
            "schema": SCHEMA,
            "created": datetime.datetime.now(datetime.UTC).isoformat(
                timespec="seconds"
            ),
            **facts,
            "search": search.to_json(),
        }
        self.path.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            stack.enter_context(lock(self.path))
            check_known_origin(self.path)
            if fresh:
                delete_search(self.path)
            manifest = merged(self.path, new)
            # A damaged ledger raises here: nothing has been changed.
            Ledger(self.path / "ledger.jsonl").read()
            write_json(self.path / "search.json", manifest)
            self.manifest = read_search_manifest(self.path)
            # Nothing went wrong: the lock is held until `__exit__`.
            self._held = stack.pop_all()

    def __exit__(self, *exception):
        self._held.close()


def merged(path, new):
    """The manifest there is, with what may change, or the new one."""
    if not (path / "search.json").is_file():
        return new
    old = read_search_manifest(path)
    if differences := differences_between(old, new):
        raise ValueError(
            f"The folder {path} holds another search ({differences}). "
            f"Expected the same one, with other {', '.join(CHANGEABLE)} at "
            f"most. {ANOTHER_FOLDER}, or start again with `--fresh`, which "
            "deletes the search there."
        )
    # The ledger has the versions of every session.
    running = {key: new[key] for key in ("search", "versions", "git_commit")}
    return {**old, **running}


def differences_between(old, new):
    """Why the trials of two manifests are not those of one search, or `""`."""
    free = (*CHANGEABLE, *PLACES)
    if str(old["search"]["dataset"]).endswith(".npz"):
        # A data file may have moved: its checksum says if it is the same.
        free = (*free, "dataset")
    differences = [
        (key, old["search"].get(key), value)
        for key, value in plain(new["search"]).items()
        if key not in free and old["search"].get(key) != value
    ]
    for part in ("dataset", "resolved"):
        named = {key for key, _, _ in differences}
        differences += [
            (key, old[part].get(key), value)
            for key, value in plain(new[part]).items()
            if key not in named and old[part].get(key) != value
        ]
    if not differences and old["space"] != plain(new["space"]):
        differences = [("space", "another one", "this version's")]
    return "; ".join(f"{k}: {a!r} there, {b!r} now" for k, a, b in differences)


def plain(content):
    """What the content is after it was written and read."""
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(value) for value in content]
    return content


def check_known_origin(path):
    """Raise if there are trials, but nothing that says what of."""
    if (path / "search.json").is_file():
        return
    there = [x for x in ("trials", "ledger.jsonl") if (path / x).exists()]
    if there:
        raise ValueError(
            f"The folder {path} holds {' and '.join(there)}, but no "
            "search.json that says which search wrote it. Expected an empty "
            "folder, or one of this command. Nothing was changed. "
            f"{ANOTHER_FOLDER}, or move {' and '.join(there)} away."
        )


def delete_search(path):
    """Delete a search and what was made of it, and nothing else."""
    if not (path / "search.json").is_file():
        return
    for name in FOLDERS:
        shutil.rmtree(path / name, ignore_errors=True)
    for name in FILES:
        (path / name).unlink(missing_ok=True)
