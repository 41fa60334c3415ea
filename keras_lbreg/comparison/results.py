"""The results of a comparison, as a folder holds them."""

import contextlib
import dataclasses
import itertools
import pathlib
import shutil

from keras_lbreg.comparison.arms import arm_names
from keras_lbreg.files import lock, read_json, write_json
from keras_lbreg.training.records import read_run, run_folder

SCHEMA = 2
MANIFEST = "manifest.json"

# Statuses of runs that are not trained again.
ENDED = ("finished", "failed")

# What a file's name, or a text that says what the numbers say, may change.
WORDS = ("name", "title", "notes", "source", "changes", "group", "control")


class Judged:
    """What the manifest of a results folder says of the judgement."""

    @property
    def objective(self):
        """Name of the objective, such as `"val_accuracy"`."""
        return self.manifest["workload"]["objective"]

    @property
    def maximize(self):
        """Whether a larger objective is better."""
        return self.manifest["workload"]["direction"] == "max"

    @property
    def sign(self):
        """1 where a larger objective is better, otherwise -1."""
        return 1 if self.maximize else -1

    @property
    def is_share(self):
        """Whether the objective is a share, printed in per cent."""
        return bool(self.manifest["workload"].get("is_share"))

    @property
    def report_path(self):
        return self.path / "report.html"


@dataclasses.dataclass(frozen=True)
class Results(Judged):
    """Everything that one results folder holds.

    Args:
        path: The folder.
        manifest: Content of `manifest.json`.
        runs: `RunResult`s in the order of the manifest's arms, then seeds;
            runs that have not begun are left out.

    Attributes:
        report_path: The HTML report.

    Example:

    >>> results = keras_lbreg.comparison.read_results("runs/digits")
    >>> print(results)
    >>> results.to_dataframe()
    """

    path: pathlib.Path
    manifest: dict
    runs: tuple

    @property
    def arms(self):
        """The manifest's description of every arm, as dictionaries."""
        return self.manifest["arms"]

    @property
    def arm_names(self):
        return [arm["name"] for arm in self.arms]

    @property
    def complete(self):
        """Whether every run of the manifest has ended."""
        ended = sum(run.status in ENDED for run in self.runs)
        return ended == len(self.arms) * len(self.manifest["seeds"])

    def runs_of(self, arm):
        """The runs of one arm."""
        return [run for run in self.runs if run.arm == arm]

    def table(self):
        """The table as Markdown."""
        from keras_lbreg.comparison.table import to_markdown

        return to_markdown(self)

    def __str__(self):
        from keras_lbreg.comparison.statistics import headline

        return f"{headline(self)}\n\n{self.table()}"

    def to_dataframe(self):
        """One row an epoch of every run, as a `pandas.DataFrame`."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "`to_dataframe` needs pandas: `pip install pandas`."
            ) from error
        rows = [
            {**vars(record), **record.logs}
            for run in self.runs
            for record in run.epochs
        ]
        return pd.DataFrame(rows).drop(columns="logs", errors="ignore")


def read_results(path):
    """The results in a folder.

    Args:
        path: A folder that `keras_lbreg.compare` has written.

    Returns:
        A `Results`. A run whose records are not those that it wrote has the
        status `"damaged"` and no epochs.

    Raises:
        ValueError: The folder holds no results, or those of another version.

    Example:

    >>> keras_lbreg.comparison.read_results("runs/digits").complete
    True
    """
    path = pathlib.Path(path)
    manifest = read_manifest(path)
    maximize = manifest["workload"]["direction"] == "max"
    found = (
        read_run(path, arm["name"], seed, maximize)
        for arm in manifest["arms"]
        for seed in manifest["seeds"]
    )
    return Results(path, manifest, tuple(run for run in found if run))


def read_manifest(path):
    """The content of a folder's manifest, checked."""
    file = pathlib.Path(path) / MANIFEST
    if not file.is_file():
        raise ValueError(
            "Invalid value for argument `path`. Expected a folder of results, "
            f"with a {MANIFEST}. Received: path={str(path)!r}"
        )
    manifest = read_json(file)
    if manifest.get("schema") != SCHEMA:
        raise ValueError(
            f"Cannot read {file}: its format is {manifest.get('schema')!r}, "
            f"this version reads {SCHEMA}. Use the version of keras-lbreg that "
            "wrote it, or run again into another folder."
        )
    kinds = {"command": str, "arms": list, "seeds": list}
    kinds |= dict.fromkeys(("workload", "config", "versions"), dict)
    for name, kind in kinds.items():
        if not isinstance(manifest.get(name), kind):
            raise ValueError(
                f"Cannot read {file}: expected a {kind.__name__} as {name!r}. "
                "Nothing was changed. Restore the file, or move its folder "
                "away."
            )
    if not all(isinstance(a, dict) and "name" in a for a in manifest["arms"]):
        raise ValueError(f"Cannot read {file}: expected arms with names.")
    return manifest


@contextlib.contextmanager
def open_folder(path, manifest, fresh=False):
    """Within it, this process alone writes to a results folder.

    Gives the manifest that was written: with the arms and seeds of those that
    the folder had, unless these are deleted since the start is `fresh`.
    """
    there = path / MANIFEST
    with lock(path):
        if there.is_file():
            old = read_manifest(path)
            if old["command"] != manifest["command"]:
                raise ValueError(
                    f"The folder {path} belongs to `{old['command']}`, and "
                    f"this is `{manifest['command']}`. Write to another folder."
                )
            if fresh:
                for arm, seed in itertools.product(old["arms"], old["seeds"]):
                    folder = run_folder(path, arm["name"], seed)
                    shutil.rmtree(folder, ignore_errors=True)
            else:
                manifest = merged(path, old, manifest)
        elif any((path / name).exists() for name in ("runs", "search")):
            raise ValueError(
                f"The folder {path} holds runs, but no {MANIFEST} that says "
                "which experiment wrote them. Expected an empty folder, or "
                "one of this experiment. Nothing was changed: move it away, "
                "or write to another folder."
            )
        write_json(there, manifest)
        yield manifest


def merged(path, old, new):
    """The manifest of a folder to which arms and seeds are added."""
    check_same(
        old,
        new,
        f"The folder {path} holds results of another experiment ({{}}). "
        "Expected the same, with more arms or seeds at most. Write to another "
        "folder, or start afresh, which deletes the results there.",
    )
    arms = {arm["name"]: arm for arm in old["arms"] + new["arms"]}
    order = dict.fromkeys([*arm_names(), *arms])
    return {
        **old,
        "arms": [arms[name] for name in order if name in arms],
        "seeds": sorted({*old["seeds"], *new["seeds"]}),
    }


def check_same(old, new, message):
    """Raises `message` where two manifests cannot stand side by side."""
    pairs = [(key, old[key], new[key]) for key in ("backend", "command")]
    for part in ("workload", "config"):
        pairs += [(k, old[part].get(k), v) for k, v in new[part].items()]
    before = {arm["name"]: arm for arm in old["arms"]}
    for arm in new["arms"]:
        was = before.get(arm["name"], arm)
        pairs += [(f"{arm['name']}.{k}", was.get(k), arm[k]) for k in arm]
    differences = [
        f"{key}: {a!r} there, {b!r} now"
        for key, a, b in pairs
        if a != b and key.rpartition(".")[2] not in WORDS
    ]
    if differences:
        raise ValueError(message.format("; ".join(differences)[:600]))
