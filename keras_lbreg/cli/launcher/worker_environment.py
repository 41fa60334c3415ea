"""The environment variables that make a process one worker of a cluster."""

import json
import os

CLUSTER = ("TF_CONFIG", "KERAS_DISTRIBUTION_JOB_ADDRESSES")


def check_outside_cluster(environ=None):
    """Raise if this process already belongs to a cluster."""
    environ = os.environ if environ is None else environ
    for name in CLUSTER:
        if environ.get(name, "").strip() not in ("", "{}"):
            raise ValueError(
                f"The environment variable {name} is set: this process is "
                "already part of a cluster. Expected none, since `lbreg "
                "launch` makes a cluster of its own on this machine. On one "
                "of several machines, run the command without `lbreg launch`; "
                f"otherwise `unset {name}` first. Received: "
                f"{name}={environ[name]}"
            )


def worker_environment(index, ports, threads, gpus=None, environ=None):
    """Return the environment of worker `index`.

    TensorFlow's strategies read `TF_CONFIG`, `keras.distribution.initialize()`
    on JAX reads `KERAS_DISTRIBUTION_*`: both are set, so that one launcher
    serves both.

    Args:
        index: The worker's number, from 0.
        ports: The port of every worker, in order.
        threads: Variables of `thread_settings`.
        gpus: Value of `CUDA_VISIBLE_DEVICES`. `None` leaves it as it is.
        environ: The environment to start from, by default this process's.

    Returns:
        A dictionary.
    """
    environ = dict(os.environ if environ is None else environ)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    environ["TF_CONFIG"] = json.dumps(
        {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
    )
    environ["KERAS_DISTRIBUTION_JOB_ADDRESSES"] = ",".join(addresses)
    environ["KERAS_DISTRIBUTION_NUM_PROCESSES"] = str(len(addresses))
    environ["KERAS_DISTRIBUTION_PROCESS_ID"] = str(index)
    # Python holds back what it writes to a pipe: a worker that is killed
    # would take its last words with it.
    environ["PYTHONUNBUFFERED"] = "1"
    environ.update(threads)
    if gpus is not None:
        environ["CUDA_VISIBLE_DEVICES"] = gpus
    return environ
