"""All comparisons and measurements of one paper, and its page."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping

from keras_lbreg.experiments.json_file import read_json
from keras_lbreg.experiments.results import read_results


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Something to measure that is no comparison of training runs.

    Args:
        name: The name on the command line and of the results folder.
        title: What it measures.
        measure: `measure(settings, on_progress)` returns what goes into
            `measurement.json`, plain data; `settings` has `seeds` and
            `data_dir`, `on_progress(done, total)` tells how far it is.
        part: The table or figure of the paper it belongs to.

    Example:

    >>> Measurement("covariance", "Noise of the mixed gradient", measure)

    Reference: `Study.measured` reads it back.
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
        tables: `table(study)` returns Markdown, by the name that stands in
            the README's `<!-- table: NAME -->`.
        figures: `figure(study)` returns a Matplotlib figure, or None where
            results are missing, by file name in `figures/`.

    Example:

    >>> study.results("f1").complete

    Reference: `recipes/README.md` describes the shape of a recipe.
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
        """The results folder of a comparison or measurement."""
        part = self.get(name)
        if isinstance(part, Measurement):
            return self.folder / "results" / name
        return self.folder / "results" / part.folder_name(epochs)

    def results(self, name):
        """The recorded results of a comparison.

        Those of the paper's length where there are any, otherwise of the
        longest shortened runs.

        Returns:
            A `Results`, or None where nothing was run.
        """
        return max(
            self.all_results(name),
            key=lambda r: r.manifest["config"]["epochs"],
            default=None,
        )

    def all_results(self, name):
        """The `Results` of a comparison at every length it was run with."""
        folder = self.path(name)
        shortened = sorted(folder.parent.glob(f"{name}-*-epochs"))
        return [
            read_results(path)
            for path in (folder, *shortened)
            if (path / "manifest.json").is_file()
        ]

    def measured(self, name):
        """What a measurement has written, or None."""
        file = self.path(name) / "measurement.json"
        return read_json(file, {}) if file.is_file() else None

    def command(self, name, *words):
        """The command that runs a comparison or measurement."""
        parts = ["python -m", f"recipes.{self.name}", "run", name, *words]
        return " ".join(parts)
