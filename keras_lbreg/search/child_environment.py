"""The environment variables of a search's child processes."""

import os

from keras_lbreg.processes.gpus import share_gpus, visible_gpus
from keras_lbreg.processes.thread_settings import thread_settings


def child_environment(search, slot=None, environ=None):
    """The environment of a process that computes for a search.

    Args:
        search: The `Search`.
        slot: Which of the `search.workers` trials at a time it runs: it gets
            a share of the cores, and of the GPUs where there is at least one
            for each. `None` gives it all.
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
        gpus = share_gpus(visible_gpus(environ), search.workers)[slot]
        if gpus is not None:
            environ["CUDA_VISIBLE_DEVICES"] = gpus
    return environ
