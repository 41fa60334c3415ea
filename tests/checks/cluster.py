"""Clusters of processes on this machine, for tests of several workers.

    python -m tests.checks.cluster OUT.pkl DEVICES MODULE:NAME...

is one worker of a cluster that `TF_CONFIG` describes. It makes one strategy,
calls the functions `MODULE.NAME(strategy)` one after the other, and writes what
they return or raise.
"""

import contextlib
import faulthandler
import functools
import gc
import importlib
import json
import pathlib
import pickle
import sys
import tempfile
import time

from keras_lbreg.cli.launch import free_ports
from tests.checks import forked

ROOT = pathlib.Path(__file__).parents[2]


class Failure(str):
    """What a function raised in a worker, as text."""


@functools.cache
def run_cluster(*functions, workers=2, devices=1, chief=False, timeout=280):
    """Runs functions in all workers of a new cluster.

    The same call again gives the same results.

    Args:
        *functions: Functions of one argument, the strategy, that are found in
            their modules by name.
        workers: Number of processes.
        devices: Number of virtual devices of each.
        chief: Whether worker 0 is the one task of a job `"chief"`.
        timeout: Seconds after which all are killed.

    Returns:
        For each worker a dictionary of what the functions returned, by name; a
        `Failure` for those that raised.
    """
    names = [f"{f.__module__}:{f.__name__}" for f in functions]
    with tempfile.TemporaryDirectory() as folder:
        outputs = [
            pathlib.Path(folder, f"{worker}.pkl") for worker in range(workers)
        ]
        texts = run_processes(
            [
                ["-m", "tests.checks.cluster", str(out), str(devices), *names]
                for out in outputs
            ],
            tf_configs(workers, chief),
            timeout,
        )
        for worker, out in enumerate(outputs):
            if not out.exists():
                raise RuntimeError(
                    f"worker {worker} of {workers}: {texts[worker]}"
                )
        return [pickle.loads(out.read_bytes()) for out in outputs]


def tf_configs(workers, chief=False):
    """One `TF_CONFIG` for each worker, with free ports of this machine."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    jobs, tasks = {"worker": addresses}, [("worker", i) for i in range(workers)]
    if chief:
        jobs = {"chief": addresses[:1], "worker": addresses[1:]}
        tasks = [("chief", 0), *tasks[:-1]]
    return [
        json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})
        for kind, index in tasks
    ]


def run_processes(commands, configs, timeout):
    """Waits for Python programs that see a `TF_CONFIG` each.

    None of them lives longer than `timeout` seconds.

    Args:
        commands: What follows `python`, of each.
        configs: The values of `TF_CONFIG`.
        timeout: Seconds.

    Returns:
        The exit status and output of each, as text.
    """
    with tempfile.TemporaryDirectory() as folder:
        deadline = time.monotonic() + timeout
        started = []
        with contextlib.ExitStack() as stack:
            for index, pair in enumerate(zip(commands, configs, strict=True)):
                output = pathlib.Path(folder, str(index))
                env = {"TF_CONFIG": pair[1]}
                process = forked.start(pair[0], output, env, ROOT)
                stack.callback(forked.kill_session, process)
                started.append((process, output))
            return [
                f"exit status "
                f"{forked.wait(process, max(0, deadline - time.monotonic()))}"
                f"\n{output.read_text()}"
                for process, output in started
            ]


def pretend_gpus(count):
    """Lets each worker have several virtual CPUs in place of GPUs.

    TensorFlow gives a worker without GPUs one device, however many CPU devices
    there are.
    """
    import tensorflow as tf
    from tensorflow.python.distribute import collective_all_reduce_strategy

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * count,
    )
    extended = collective_all_reduce_strategy.CollectiveAllReduceExtended
    extended._initialize_local_devices = lambda self, resolver, worker: (
        tuple(f"{worker}/device:CPU:{i}" for i in range(count)),
        "CPU",
    )


def main(out, devices, *names):
    import keras
    import tensorflow as tf

    import keras_lbreg

    # As in tests/conftest.py.
    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": True}
    )
    if devices != "1":
        pretend_gpus(int(devices))
    strategy = keras_lbreg.MultiWorkerMirroredStrategy(start_timeout=120)
    results = {}
    # A dataset's iterator that is collected waits for TensorFlow's tuner of it,
    # which can sleep for a minute, and the other worker for this one.
    gc.disable()
    for name in names:
        module, _, function = name.partition(":")
        print(name, flush=True)
        # Where it hangs, if it does.
        faulthandler.dump_traceback_later(100)
        try:
            result = getattr(importlib.import_module(module), function)(
                strategy
            )
        except Exception as error:
            result = Failure(f"{type(error).__name__}: {error}")
        results[function] = result
        keras.backend.clear_session(free_memory=False)
    pathlib.Path(out).write_bytes(pickle.dumps(results))


if __name__ == "__main__":
    # Pickles name this module, not `__main__`.
    from tests.checks.cluster import main

    main(*sys.argv[1:])
