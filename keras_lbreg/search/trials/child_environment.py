"""The environment variables of a search's child processes."""

import os

from keras_lbreg.processes.gpus import share_gpus, visible_gpus
from keras_lbreg.processes.thread_settings import thread_settings


def child_environment(search, slot=None, environ=None):
    """The environment of a process that computes for a search.

    Args:
        search: The `Search`.
        slot: Which of the `search.workers` trials at a time it runs: it gets
            a share of the cores, and of the GPUs or, where there are not enough
            of them, of their memory. `None` gives it all.
        environ: The environment to start from, by default this process's.

    Returns:
        A dictionary.

    Example:

    >>> child_environment(search)["KERAS_BACKEND"]
    'tensorflow'

    Reference: `thread_settings`, `share_gpus`.
    """
    environ = dict(os.environ if environ is None else environ)
    environ["KERAS_BACKEND"] = search.backend
    environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # What a process that is killed has printed is in its log.
    environ["PYTHONUNBUFFERED"] = "1"
    if slot is not None and search.workers > 1:
        environ |= thread_settings(search.workers, environ=environ)
        gpus = visible_gpus(environ)
        share = share_gpus(gpus, search.workers)[slot]
        if share is not None:
            environ["CUDA_VISIBLE_DEVICES"] = share
        elif gpus:
            share_memory(environ, search.workers)
    return environ


def share_memory(environ, workers):
    """Keep each of several trials on the same GPUs to its share of memory.

    Left alone, the first one takes what the others need.
    """
    environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    fraction = f"{0.9 / workers:.3f}"
    environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", fraction)
