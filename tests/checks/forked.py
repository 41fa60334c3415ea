"""Python programs in processes forked from one that has imported Keras.

To import TensorFlow takes longer than what most of these programs do.
"""

import atexit
import contextlib
import multiprocessing
import os
import runpy
import signal
import sys

import numpy as np

# Its first process imports, and serves as long as that which has started it.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["keras", "keras_lbreg"])


def start(words, output, env=(), folder="."):
    """Starts `python WORDS`, that is `-m MODULE ...`, `-c CODE` or `FILE ...`.

    Args:
        words: What follows `python` on a command line.
        output: File for what it prints and its errors.
        env: Variables besides those of this process, read after the imports.
        folder: Where it works.

    Returns:
        A `multiprocessing.Process` that leads a session.
    """
    variables = {**os.environ, **dict(env)}
    arguments = (list(words), str(output), variables, str(folder))
    process = FORKS.Process(target=run, args=arguments)
    process.start()
    return process


def run(words, output, variables, folder):
    with contextlib.suppress(PermissionError):
        os.setsid()
    printed = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(printed, stream)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    # As in processes that have nothing in common.
    np.random.seed()
    try:
        run_program(words)
    finally:
        atexit._run_exitfuncs()


def run_program(words):
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        sys.path.insert(0, "")
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = list(words)
        sys.path.insert(0, os.path.dirname(words[0]))
        runpy.run_path(words[0], run_name="__main__")


def wait(process, seconds):
    """The exit status; after so many seconds all of the session is killed."""
    process.join(seconds)
    kill_session(process)
    return process.exitcode


def kill_session(process):
    """Kills a process that leads a session, and all it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()
