"""All comparisons and measurements of one paper, and its page."""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Mapping

from keras_lbreg.files import read_json
from recipes.study.recorded import is_old, read_recorded

# Added to the name of a results folder beside one of schema 1.
BESIDE = "-schema-2"
# A results folder: the name, the epochs of a shortened run, the schema.
FOLDER = re.compile(rf"(.*?)(-\d+-epochs)?({BESIDE})?")


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Something to measure that is no comparison of training runs.

    Args:
        name: The name on the command line and of the results folder.
        title: What it measures.
        measure: `measure(settings, on_progress)` returns what goes into
            `measurement.json`, plain data; `settings` has `seeds` and
            `data_dir`, `on_progress(done, total)` is called as it proceeds.
        part: The table or figure of the paper it belongs to.
    """

    name: str
    title: str
    measure: Callable
    part: str = ""


@dataclasses.dataclass(frozen=True)
class Study:
    """One paper: what can be run, and the tables and figures made of it.

    Args:
        name: Name of the recipe's folder and module.
        title: Authors, year and title.
        folder: The recipe's folder.
        comparisons: The `Comparison`s.
        measurements: The `Measurement`s.
        tables: `table(study)` returns Markdown, by the name in the
            README's `<!-- table: NAME -->`.
        figures: `figure(study)` returns a Matplotlib figure, or None where
            results are missing, by file name in `figures/`.
    """

    name: str
    title: str
    folder: pathlib.Path
    comparisons: tuple
    measurements: tuple = ()
    tables: Mapping = dataclasses.field(default_factory=dict)
    figures: Mapping = dataclasses.field(default_factory=dict)

    def names(self):
        """Names of everything that can be run."""
        return [part.name for part in (*self.comparisons, *self.measurements)]

    def get(self, name):
        """The comparison or measurement of this name.

        Raises:
            ValueError: There is none.
        """
        for part in (*self.comparisons, *self.measurements):
            if part.name == name:
                return part
        raise ValueError(
            f"Invalid value for argument `name`. Expected one of "
            f"{self.names()}. Received: name={name!r}"
        )

    def path(self, name, epochs=None):
        """The results folder that a comparison or measurement writes to.

        Folders of schema 1 are left as they are: new runs, which are judged
        otherwise, have one beside them.
        """
        part = self.get(name)
        if isinstance(part, Measurement):
            return self.folder / "results" / name
        path = self.folder / "results" / part.folder_name(epochs)
        return path.with_name(f"{path.name}{BESIDE}") if is_old(path) else path

    def results(self, name):
        """The recorded results of a comparison.

        Those of the paper's length where there are any, otherwise of the
        longest shortened runs; of the same length those of today's schema
        once all arms have ended with as many seeds as the recipe has.

        Returns:
            A `Results`, or None where nothing was run.
        """

        part = self.get(name)

        def rank(results):
            old = results.manifest["schema"] == 1
            whole = (
                results.complete
                and set(part.arms) <= set(results.arm_names)
                and len(results.manifest["seeds"]) >= part.seeds
            )
            epochs = results.manifest["config"]["epochs"]
            return epochs, whole and not old, old

        return max(self.all_results(name), key=rank, default=None)

    def all_results(self, name):
        """The `Results` of a comparison at every length it was run with."""
        folder = self.folder / "results"
        return [
            read_recorded(path)
            for path in sorted(folder.glob(f"{name}*/"))
            if FOLDER.fullmatch(path.name)[1] == name
            and (path / "manifest.json").is_file()
        ]

    def measured(self, name):
        """What a measurement has written, or None."""
        file = self.path(name) / "measurement.json"
        return read_json(file) if file.is_file() else None

    def command(self, name, *words):
        """The command that runs a comparison or measurement."""
        parts = ["python -m", f"recipes.{self.name}", "run", name, *words]
        return " ".join(parts)
