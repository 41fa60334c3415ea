"""Check a search in a process of its own."""

import pathlib
import subprocess
import sys
import tempfile

from keras_lbreg.experiments.json_file import read_json, write_json
from keras_lbreg.experiments.placement import REPEATED
from keras_lbreg.processes.describe_exit import describe_exit
from keras_lbreg.search.trials.child_environment import child_environment


def check_in_child(search):
    """Call `check_search` in a process of its own.

    This process then has no memory and no GPU that the trials would miss.

    Args:
        search: The `Search`.

    Returns:
        What `check_search` returned.

    Raises:
        ValueError: What `check_search` raised, or another error that it did.
        RuntimeError: The process died.

    Example:

    >>> check_in_child(Search("digits"))["resolved"]["samples"]
    818

    Reference: `keras_lbreg.search.check_search`.
    """
    with tempfile.TemporaryDirectory() as folder:
        question = pathlib.Path(folder) / "search.json"
        answer = pathlib.Path(folder) / "answer.json"
        write_json(question, search.to_json())
        command = ["-m", "keras_lbreg.search.run_check", question, answer]
        ended = subprocess.run(
            [sys.executable, *command],
            env=child_environment(search),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if ended.returncode:
            raise RuntimeError(
                "The process that checks the search "
                f"{describe_exit(ended.returncode)}:\n{ended.stdout[-3000:]}"
            )
        content = read_json(answer, dict)
    if "error" in content:
        name, text = content["error"]
        raise {kind.__name__: kind for kind in REPEATED}[name](text)
    return content["facts"]
