"""Files that are whole or not there, and folders with one writer."""

import contextlib
import json
import os
import pathlib


class FolderInUseError(ValueError):
    """Another process writes to a folder."""


def write_file(path, content):
    """Writes bytes, text or what a function writes to a file in one piece."""
    path = pathlib.Path(path)
    if isinstance(content, str):
        content = content.encode("utf-8")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            with open(partial, "wb") as file:
                content(file)
        else:
            partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise located(error, path) from error


def append_line(path, content):
    """Appends an object as a line of JSON, handed to the system at once."""
    line = json.dumps(content, allow_nan=False) + "\n"
    try:
        with open(path, "ab") as file:
            file.write(line.encode("utf-8"))
    except OSError as error:
        raise located(error, path) from error


def write_json(path, content):
    """Writes an object as JSON in one piece."""
    write_file(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path):
    """The object of a JSON file; an error names the file."""
    try:
        content = json.loads(pathlib.Path(path).read_text("utf-8"))
    except ValueError as error:
        raise ValueError(
            f"Cannot read {path}: it is not valid JSON ({error}). Nothing was "
            "changed. Restore the file, or move its folder away."
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"Cannot read {path}: expected a JSON object, received "
            f"{type(content).__name__}. Nothing was changed."
        )
    return content


def located(error, path):
    """The same error, with a path where the system gave none."""
    if error.filename is None and error.errno is not None:
        return type(error)(error.errno, os.strerror(error.errno), str(path))
    return error


@contextlib.contextmanager
def lock(folder):
    """Holds the only right to write to a folder."""
    import filelock

    folder = pathlib.Path(folder)
    if folder.is_file():
        raise ValueError(
            f"Cannot write results to {folder}: it is a file. Expected a "
            "folder, which is made where there is none."
        )
    folder.mkdir(parents=True, exist_ok=True)
    holder = filelock.FileLock(folder / ".lock", timeout=0)
    try:
        holder.acquire()
    except filelock.Timeout as error:
        raise FolderInUseError(
            f"Another process writes to {folder}. Wait for it to end, stop "
            "it, or write to another folder."
        ) from error
    try:
        yield
    finally:
        holder.release()
