"""Results of one diagnostic, kept in one JSON file."""

import pathlib

from keras_lbreg.experiments.json_file import read_record, write_json
from keras_lbreg.experiments.shape import NUMBER

SCHEMA = 1

# What tells one result from another. Names of files are not among it.
RECORD = {
    "models": [{"name": str, "file": str, "sha256": str}],
    "data": {"title": str, "checksum": int},
    "settings": dict,
    "result": dict,
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
                {"analysis": str, "records": [RECORD]},
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
            self.records = content["records"]

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
    return (
        [model["sha256"] for model in record["models"]],
        record["data"]["checksum"],
        record["settings"],
    )
