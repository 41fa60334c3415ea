"""The trained model of a run, and the file that the user asked for."""

import os
import pathlib
import shutil
import tempfile


def check_model_path(path):
    """Raise unless a model can be saved at `path`; create its folder.

    Asked before the training, which may take hours.

    Args:
        path: The file that is to be written.

    Raises:
        ValueError: It does not end in `.keras`, or is a folder.
        OSError: Its folder cannot be made or written to.

    Example:

    >>> check_model_path("models/digits.keras")

    Reference: `keras.Model.save`.
    """
    path = pathlib.Path(path)
    if path.suffix != ".keras" or path.is_dir():
        raise ValueError(
            "Invalid value for the file of the model (`--out`, `model_path`). "
            "Expected a file name that ends in .keras. "
            f"Received: {str(path)!r}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Permissions alone do not tell: the file system may be read-only.
    with tempfile.TemporaryFile(dir=path.parent):
        pass


def save_model(model, path):
    """Save a model so that no reader ever sees a half of the file.

    Args:
        model: The `keras.Model`.
        path: The `.keras` file.

    Example:

    >>> save_model(model, "runs/train-digits/runs/lr/seed-0/model.keras")

    Reference: `keras.Model.save`.
    """
    partial = partial_file(path)
    try:
        model.save(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def copy_model(source, path):
    """Copy a model's file, replacing what is at `path` all at once.

    Args:
        source: The file to copy.
        path: The file to write.

    Example:

    >>> copy_model("runs/train-digits/runs/lr/seed-0/model.keras", "m.keras")

    Reference: `os.replace` is atomic on POSIX and Windows.
    """
    partial = partial_file(path)
    try:
        shutil.copyfile(source, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def partial_file(path):
    path = pathlib.Path(path)
    # Keras takes no other suffix.
    return path.with_name(f".{path.stem}.{os.getpid()}.keras")
