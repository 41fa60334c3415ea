"""JSON files that are whole or not there."""

import json
import os
import pathlib


def read_json(file):
    """The content of one JSON file, with an error that names it."""
    try:
        return json.loads(pathlib.Path(file).read_text("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"Cannot read {file}: it is not valid JSON ({error}). Nothing was "
            "changed. Restore the file, move its folder away, or start again "
            "with `--fresh`."
        ) from error


def write_json(file, content):
    """Write one JSON file so that no reader ever sees a half of it."""
    file = pathlib.Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(
        json.dumps(content, indent=2, allow_nan=False) + "\n", "utf-8"
    )
    os.replace(partial, file)
