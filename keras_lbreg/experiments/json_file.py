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


def read_record(file, shape, schema, command):
    """The content of the file that says what a folder of results holds.

    Args:
        file: The file.
        shape: What it must hold, see `check_shape`.
        schema: The version of its format that is read here.
        command: The command that writes such folders.

    Raises:
        ValueError: There is no such file, it has another schema, or it is
            damaged.

    Example:

    >>> read_record("runs/digits/manifest.json", {}, 1, "lbreg compare")

    Reference: `read_json`.
    """
    file = pathlib.Path(file)
    if not file.is_file():
        raise ValueError(
            "Invalid value for argument `path`. Expected a folder that "
            f"`{command}` has written (with a {file.name}). "
            f"Received: path={str(file.parent)!r}"
        )
    content = read_json(file, dict)
    if content.get("schema") != schema:
        raise ValueError(
            f"Cannot read {file}: it has results schema "
            f"{content.get('schema')!r}, this version reads {schema}. "
            "Use the version of keras-lbreg that wrote it, or run again into "
            "another folder."
        )
    return read_json(file, shape)


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
