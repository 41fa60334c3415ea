"""Threads for processes that share the cores of a machine."""

import os

# Where the machine's cores stand for the libraries that compute on them:
# TensorFlow's operations, JAX's CPU client, and OpenMP's or OpenBLAS's loops.
THREADS = ("TF_NUM_INTRAOP_THREADS", "PJRT_NPROC", "OMP_NUM_THREADS")


def thread_settings(workers, per_worker=None, environ=None):
    """Return variables that keep workers to their share of the cores.

    Left alone, each of N workers starts as many threads as there are cores.

    Args:
        workers: Number of workers.
        per_worker: Threads for each. `None` divides the cores; a variable
            that the user has set then keeps its value.
        environ: The environment to look in, by default this process's.

    Returns:
        A dictionary of all the variables.

    Example:

    >>> thread_settings(2)["OMP_NUM_THREADS"]
    '8'

    Reference: `os.sched_getaffinity` tells the cores of this process.
    """
    environ = os.environ if environ is None else environ
    if per_worker is not None:
        return dict.fromkeys(THREADS, str(per_worker))
    share = str(max(1, available_cores() // workers))
    return {name: environ.get(name, share) for name in THREADS}


def available_cores():
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
