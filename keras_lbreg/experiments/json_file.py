"""JSON files that are whole or not there."""

import json
import os
import pathlib

from keras_lbreg.experiments.shape import check_shape


def read_json(file, shape):
    """The content of one JSON file, with an error that names it.

    Args:
        file: The file.
        shape: What it must hold, see `check_shape`.

    Raises:
        ValueError: It is not valid JSON, or holds something else.

    Example:

    >>> read_json("summary.json", {"status": str})

    Reference: https://www.json.org
    """
    try:
        content = json.loads(pathlib.Path(file).read_text("utf-8"))
    except ValueError as error:
        raise unreadable(file, f"it is not valid JSON ({error})") from error
    try:
        check_shape(content, shape, pathlib.Path(file).stem)
    except ValueError as error:
        raise unreadable(file, str(error)) from error
    return content


def unreadable(file, why):
    return ValueError(
        f"Cannot read {file}: {why}. Nothing was changed. Restore the file, "
        "or move its folder away."
    )


def write_json(file, content):
    """Write one JSON file so that no reader ever sees a half of it."""
    file = pathlib.Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(
        json.dumps(content, indent=2, allow_nan=False) + "\n", "utf-8"
    )
    os.replace(partial, file)
