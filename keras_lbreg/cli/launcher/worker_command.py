"""What each worker runs: an lbreg command, a Python file or a program."""

import difflib
import os
import shutil
import sys

LBREG = [sys.executable, "-m", "keras_lbreg"]


def worker_command(words, commands):
    """Return the command line of a worker.

    Args:
        words: What the user typed. The first word is the name of an lbreg
            command, a Python file (run by this very interpreter, as the
            lbreg command is), or a program.
        commands: The names of the lbreg commands.

    Returns:
        A list of strings.

    Raises:
        ValueError: If the first word is none of these.
    """
    first, *others = words
    if first in commands:
        return [*LBREG, first, *others]
    if first == "lbreg" and others and others[0] in commands:
        return [*LBREG, *others]
    if first.endswith(".py") and os.path.isfile(first):
        return [sys.executable, first, *others]
    program = shutil.which(first)
    if program is None:
        near = difflib.get_close_matches(first, commands, n=1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        raise ValueError(
            f"Cannot start `{first}`. Expected an lbreg command "
            f"({', '.join(commands)}), an existing Python file, or a program "
            f"on the PATH. Received: {' '.join(words)}.{hint}"
        )
    return [program, *others]


def command_to_go_on(command):
    """Return the command line of a worker that is started again.

    Args:
        command: What `worker_command` returned.

    Returns:
        A list of strings: an lbreg command without `--fresh`, which would
        delete what it is to go on from; another command as it is.
    """
    if command[: len(LBREG)] != LBREG:
        return command
    return [word for word in command if word != "--fresh"]
