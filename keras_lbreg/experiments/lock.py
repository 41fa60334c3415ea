"""One writer for each results folder."""

import contextlib
import pathlib

ANOTHER_FOLDER = (
    "Write to another folder (`lbreg compare --out`, `lbreg tune --out`, "
    "`lbreg train --run-dir`)"
)


class FolderInUseError(ValueError):
    """Another process is writing to a folder.

    Example:

    >>> with lock("runs/digits"):
    ...     pass
    FolderInUseError: Another process is writing to runs/digits. ...

    Reference: `lock` raises it.
    """


@contextlib.contextmanager
def lock(folder):
    """Hold the folder's lock; the system frees it when the process ends.

    Args:
        folder: The results folder.

    Raises:
        FolderInUseError: Another process holds the lock.

    Example:

    >>> with lock("runs/digits"):
    ...     pass

    Reference: `fcntl.flock`. Without it (Windows) nothing is locked.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(pathlib.Path(folder) / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FolderInUseError(
                f"Another process is writing to {folder}. Wait for it to end "
                f"or stop it. {ANOTHER_FOLDER}."
            ) from error
        yield
