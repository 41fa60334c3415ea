"""Tell whether this process is the `lbreg` command."""

import pathlib
import sys


def is_command_line(argv=None):
    """Return whether this process was started as `lbreg`.

    `lbreg --backend jax` has to choose the backend before Keras is imported,
    and `lbreg --help` should not wait seconds for TensorFlow. Python imports
    `keras_lbreg` before `keras_lbreg.cli`, so the package has to know. Where
    the answer is wrongly `False` (an unusual launcher), the command still
    works; it starts more slowly and refuses a late change of backend.

    Args:
        argv: The interpreter's command line. Defaults to `sys.orig_argv`.

    Returns:
        `True` for the `lbreg` script, `python -m keras_lbreg` and
        `python -m keras_lbreg.cli`.
    """
    argv = sys.orig_argv if argv is None else argv
    arguments = argv[1:]
    while arguments and arguments[0].startswith("-"):
        flag, *arguments = arguments
        if flag == "-m":
            return bool(arguments) and arguments[0] in (
                "keras_lbreg",
                "keras_lbreg.cli",
            )
        if flag == "-c":
            return False
        if flag in ("-W", "-X") and arguments:
            arguments = arguments[1:]
    return bool(arguments) and _is_console_script(arguments[0])


def _is_console_script(path):
    # Installers name it so, on Windows with `.exe`. A user's own `lbreg.py`, or
    # a folder `lbreg` with a `__main__.py`, is a program like any other.
    path = pathlib.Path(path)
    return path.name in ("lbreg", "lbreg.exe") and not path.is_dir()
