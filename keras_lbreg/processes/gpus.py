"""The GPUs of this machine, and each worker's share of them."""

import os
import subprocess

NO_GPU = "-1"


def visible_gpus(environ=None):
    """Return the names by which CUDA knows the GPUs that may be used.

    Those of `CUDA_VISIBLE_DEVICES` if it is set, else all that `nvidia-smi`
    lists, else none.
    """
    environ = os.environ if environ is None else environ
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [name.strip() for name in chosen.split(",")]
        # CUDA ignores an invalid name and all that follow it.
        end = names.index(NO_GPU) if NO_GPU in names else len(names)
        return [name for name in names[:end] if name]
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=30,
            env=dict(environ),
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    if result.returncode:
        return []
    return [line for line in result.stdout.split() if line.isdigit()]


def share_gpus(gpus, workers, per_worker=None):
    """Deal out GPUs to workers, each its own.

    Args:
        gpus: Names of the GPUs, of `visible_gpus`.
        workers: Number of workers.
        per_worker: GPUs for each. 0 hides them all. `None` gives every
            worker an equal number where there is at least one for each.

    Returns:
        A list with the value of `CUDA_VISIBLE_DEVICES` for each worker, or
        with `None` where the variable stays as it is.

    Raises:
        ValueError: If there are not enough.
    """
    if per_worker is None:
        per_worker = len(gpus) // workers
        if per_worker == 0:
            return [None] * workers
    elif per_worker * workers > len(gpus):
        raise ValueError(
            "Invalid value for option `--gpus-per-worker`. Expected no more "
            f"than this machine's GPUs, {len(gpus)}, shared by {workers} "
            f"workers. Received: {per_worker}. Start fewer workers, or 0 "
            "GPUs for each to run on the CPU."
        )
    if per_worker == 0:
        return [NO_GPU] * workers
    return [
        ",".join(gpus[worker * per_worker : (worker + 1) * per_worker])
        for worker in range(workers)
    ]
