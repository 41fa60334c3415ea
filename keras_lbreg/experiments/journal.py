"""A file of JSON lines that survives being killed in mid write."""

import json
import os
import pathlib


def read_journal(path):
    """The parsed lines of the journal at `path`; none if there is no file.

    A last line without its newline is what a kill in mid write leaves: it is
    left out. Any other damage is an error.

    Args:
        path: The file.

    Raises:
        ValueError: A complete line is not a JSON object.

    Example:

    >>> read_journal("epochs.jsonl")[-1]["epoch"]
    20

    Reference: https://jsonlines.org
    """
    path = pathlib.Path(path)
    if not path.is_file():
        return []
    complete, _, _ = path.read_bytes().rpartition(b"\n")
    lines = []
    for number, line in enumerate(complete.splitlines(), 1):
        try:
            parsed = json.loads(line)
        except ValueError as error:
            raise damaged_line(path, number, str(error)) from error
        if not isinstance(parsed, dict):
            raise damaged_line(path, number, "expected an object")
        lines.append(parsed)
    return lines


def append_to_journal(path, line):
    """Append one object as a line, handed to the system at once."""
    text = json.dumps(line, allow_nan=False) + "\n"
    with open(path, "ab") as file:
        file.write(text.encode("utf-8"))


def rewrite_journal(path, lines):
    """Replace the journal's content atomically."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    text = "".join(json.dumps(x, allow_nan=False) + "\n" for x in lines)
    partial.write_text(text, "utf-8")
    os.replace(partial, path)


def damaged_line(path, number, why):
    return ValueError(
        f"Cannot read {path}: line {number} is damaged ({why}). Nothing was "
        "changed. Mend the line, move the run's folder away, or start again "
        "with `--fresh`."
    )
