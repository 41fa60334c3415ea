"""Results of one diagnostic, kept in one JSON file."""

import pathlib
from types import NoneType

from keras_lbreg.experiments.json_file import (
    read_json,
    read_record,
    write_json,
)
from keras_lbreg.experiments.shape import NUMBER

SCHEMA = 1

MAYBE = (*NUMBER, NoneType)
FIT = {"loss": NUMBER, "accuracy": NUMBER}
CURVES = {"train": [MAYBE], "val": [MAYBE]}

# What is read of a result.
RESULTS = {
    "sharpness": {**FIT, "sharpness": NUMBER, "largest_loss": NUMBER},
    "hessian": {**FIT, "eigenvalue": NUMBER},
    "noise-scale": {
        **FIT,
        "noise_scale": MAYBE,
        "low": MAYBE,
        "high": MAYBE,
        "big_batch": int,
        "pairs": int,
    },
    "interpolate": {"positions": [NUMBER], "loss": CURVES, "accuracy": CURVES},
}
RECORD = {
    "models": [{"name": str, "file": str, "sha256": str}],
    "data": {"title": str, "checksum": int},
    "settings": dict,
    "seconds": NUMBER,
    "environment": dict,
}


class RecordBook:
    """Finds results of earlier calls, and adds new ones.

    The file is replaced as a whole after each result, so that an interruption
    loses at most the one in the making.

    Args:
        file: The JSON file.
        analysis: The name of the diagnostic.
        fresh: Whether to forget what is there.

    Raises:
        ValueError: The file is damaged or of another diagnostic. Nothing is
            changed then.

    Example:

    >>> book = RecordBook("runs/analyze-small/sharpness.json", "sharpness")
    >>> book.find(record)

    Reference: `keras_lbreg.experiments.json_file.write_json`.
    """

    def __init__(self, file, analysis, fresh=False):
        self.file = pathlib.Path(file)
        self.analysis = analysis
        self.records = []
        if self.file.exists() and not fresh:
            content = read_record(
                self.file,
                {"analysis": str, "records": list},
                SCHEMA,
                "lbreg analyze",
            )
            if content["analysis"] != analysis:
                raise ValueError(
                    f"Cannot read {self.file}: it holds the results of "
                    f"{content['analysis']!r}. Nothing was changed. Choose "
                    "another folder with `--out`, or start again with "
                    "`--fresh`."
                )
            shape = {**RECORD, "result": RESULTS[analysis]}
            self.records = read_json(self.file, {"records": [shape]})["records"]

    def find(self, record):
        """The record of the same models, data and settings, or `None`."""
        return next(
            (r for r in self.records if identity(r) == identity(record)), None
        )

    def add(self, record):
        """Add a record, in the place of an earlier one of the same kind."""
        self.records = [
            r for r in self.records if identity(r) != identity(record)
        ]
        self.records.append(record)
        write_json(
            self.file,
            {
                "schema": SCHEMA,
                "analysis": self.analysis,
                "records": self.records,
            },
        )


def identity(record):
    """What tells one result from another; names of files do not."""
    return (
        [model["sha256"] for model in record["models"]],
        record["data"]["checksum"],
        record["settings"],
    )
