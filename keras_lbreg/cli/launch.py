"""`lbreg launch`: several processes of one command, as one cluster."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.cli.options import warn
from keras_lbreg.processes import free_ports, own_gpus

# Seconds that a worker has to end before it is killed.
GRACE = 10.0


@report_errors
def launch(
    command: options.argument(
        list[str],
        "COMMAND",
        "An lbreg command, a Python file or a program, after `--`.",
    ),
    workers: options.number(None, "Processes to start.", min=1),
    debug: options.Debug = False,
):
    """
    Run a command in several processes of this machine, as one cluster.

    Each worker gets a `TF_CONFIG`, which `lbreg train` and TensorFlow's
    multi-worker strategy read, `KERAS_DISTRIBUTION_*` for a program of yours
    that calls `keras.distribution.initialize()` on JAX, and its share of the
    GPUs. When one fails, the others are stopped and `lbreg launch` ends with
    its exit code; Ctrl-C and SIGTERM go to all. On several machines, a
    scheduler starts the command as it is.

    **Examples**

    ```shell
    lbreg launch --workers 2 -- train digits --strategy multi-worker
    lbreg launch --workers 4 -- my_fit.py --epochs 10
    ```
    """
    if os.environ.get("TF_CONFIG", "").strip() not in ("", "{}"):
        raise ValueError(
            "The environment variable TF_CONFIG is set: this process is "
            "already part of a cluster. Expected none. Run the command "
            "without `lbreg launch`, or `unset TF_CONFIG` first."
        )
    words = worker_command(command)
    raise typer.Exit(run_workers(words, worker_environments(workers)))


def worker_command(words):
    """The command line of a worker: ours, a Python file or a program."""
    from keras_lbreg.cli.app import app

    commands = typer.main.get_command(app).commands
    first, *others = words
    if first in commands:
        return [sys.executable, "-m", "keras_lbreg", *words]
    if first.endswith(".py") and os.path.isfile(first):
        return [sys.executable, *words]
    if program := shutil.which(first):
        return [program, *others]
    raise ValueError(
        "Invalid value for argument `COMMAND`. Expected an lbreg command "
        f"({', '.join(commands)}), a Python file that exists, or a program on "
        f"the PATH. Received: {' '.join(words)!r}"
    )


def worker_environments(workers):
    """The environment variables of each worker."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    environments = []
    for index in range(workers):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": addresses}, "task": task}
        environment = {
            **os.environ,
            "TF_CONFIG": json.dumps(config),
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": ",".join(addresses),
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(workers),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
            "PYTHONUNBUFFERED": "1",
        }
        environments.append(environment | own_gpus(index, workers))
    return environments


def run_workers(command, environments):
    """Runs a command in several processes; the exit code of all of them."""
    received, workers, readers = [], [], []
    for signum in (signal.SIGINT, signal.SIGTERM):
        # A shell's background jobs ignore Ctrl-C.
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, lambda number, frame: received.append(number))
    try:
        for index, environment in enumerate(environments):
            # In a group of its own: the processes it starts end with it.
            worker = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            workers.append(worker)
            reader = threading.Thread(
                target=copy, args=(index, worker, received), daemon=True
            )
            reader.start()
            readers.append(reader)
        codes = [None]
        while None in codes and not any(codes) and not received:
            time.sleep(0.05)
            codes = [worker.poll() for worker in workers]
        exit_code = 128 + received[0] if received else 0
        for index, code in enumerate(codes):
            if code and not exit_code:
                exit_code = code if code > 0 else 128 - code
                warn(f"Worker {index} ended with exit code {exit_code}.")
        polite = signal.SIGINT if signal.SIGINT in received else signal.SIGTERM
        send(workers, polite)
        deadline = time.monotonic() + GRACE
        for worker in workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(deadline - time.monotonic())
        return exit_code
    finally:
        send(workers, signal.SIGKILL)
        for reader in readers:
            reader.join(GRACE)


def copy(index, worker, received):
    """Prints a worker's lines behind its name."""
    for line in worker.stdout:
        # Of a line that was written over, as a progress bar, the end.
        line = line.rstrip(b"\r\n").rpartition(b"\r")[2]
        try:
            sys.stdout.buffer.write(b"[worker %d] %s\n" % (index, line))
            sys.stdout.flush()
        except BrokenPipeError:
            received.append(signal.SIGPIPE)
            break


def send(workers, signum):
    """Sends a signal to the process groups of workers."""
    for worker in workers:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.pid, signum)
