"""`lbreg launch`: several processes of one command, as one cluster."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Annotated

import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.formatting import make_console

# What TensorFlow, JAX's CPU client, and OpenMP or OpenBLAS compute with.
THREADS = ("TF_NUM_INTRAOP_THREADS", "PJRT_NPROC", "OMP_NUM_THREADS")
# Seconds that a worker has to end before it is killed.
GRACE = 10.0


@report_errors
def launch(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND",
            help="An lbreg command, a Python file or a program, after `--`.",
        ),
    ],
    workers: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes to start.")
    ],
    debug: options.Debug = False,
):
    """
    Run a command in several processes of this machine, as one cluster.

    Each worker gets a `TF_CONFIG`, which `lbreg train` and TensorFlow's
    multi-worker strategy read, `KERAS_DISTRIBUTION_*` for a program of yours
    that calls `keras.distribution.initialize()` on JAX, and its share of cores
    (unless you have set `OMP_NUM_THREADS` and the like) and of GPUs. When one
    fails, the others are stopped and `lbreg launch` ends with its exit code;
    Ctrl-C and SIGTERM go to all. Several machines, and restarts, are the
    business of a scheduler: start the command there without `lbreg launch`.

    **Examples**

    ```shell
    lbreg launch --workers 2 -- train digits --strategy multi-worker
    lbreg launch --workers 4 -- my_fit.py --epochs 10
    ```
    """
    for name in ("TF_CONFIG", "KERAS_DISTRIBUTION_JOB_ADDRESSES"):
        if os.environ.get(name, "").strip() not in ("", "{}"):
            raise ValueError(
                f"The environment variable {name} is set: this process is "
                "already part of a cluster. Expected none. Run the command "
                f"without `lbreg launch`, or `unset {name}` first."
            )
    words = worker_command(command)
    raise typer.Exit(run_workers(words, worker_environments(workers)))


def worker_command(words):
    """The command line of a worker: ours, a Python file or a program."""
    from keras_lbreg.cli.app import app

    commands = typer.main.get_command(app).commands
    words = words[1:] if words[0] == "lbreg" else words
    first = words[0] if words else ""
    if first in commands:
        return [sys.executable, "-m", "keras_lbreg", *words]
    if first.endswith(".py") and os.path.isfile(first):
        return [sys.executable, *words]
    if program := shutil.which(first):
        return [program, *words[1:]]
    raise ValueError(
        "Invalid value for argument `COMMAND`. Expected an lbreg command "
        f"({', '.join(commands)}), a Python file that exists, or a program on "
        f"the PATH. Received: {' '.join(words)!r}"
    )


def worker_environments(workers):
    """The environment variables of each worker."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    common = {
        **dict.fromkeys(THREADS, str(max(1, cores // workers))),
        **os.environ,
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": ",".join(addresses),
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(workers),
        # What a killed worker has printed last is printed.
        "PYTHONUNBUFFERED": "1",
    }
    gpus = visible_gpus()
    environments = [dict(common) for _ in range(workers)]
    for index, environment in enumerate(environments):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": addresses}, "task": task}
        environment["TF_CONFIG"] = json.dumps(config)
        environment["KERAS_DISTRIBUTION_PROCESS_ID"] = str(index)
        if share := gpus[index::workers][: len(gpus) // workers]:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(share)
    return environments


def free_ports(count):
    """Ports of this machine that nobody listens on."""
    # Below the range of outgoing connections, none of which can then occupy a
    # port before the worker listens on it. All stay bound until the last is
    # found, so that none is given twice.
    ports = []
    with contextlib.ExitStack() as stack:
        while len(ports) < count:
            server = stack.enter_context(socket.socket())
            port = random.SystemRandom().randrange(15000, 32768)
            with contextlib.suppress(OSError):
                server.bind(("", port))
                ports.append(port)
    return ports


def visible_gpus():
    """The names by which CUDA knows the GPUs that may be used."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        # CUDA ignores an invalid name and all that follow it.
        names = chosen.replace(" ", "").partition("-1")[0].split(",")
        return [name for name in names if name]
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    if shutil.which(query[0]) is None:
        return []
    answer = subprocess.run(query, capture_output=True, text=True, timeout=30)
    return [] if answer.returncode else answer.stdout.split()


def run_workers(command, environments):
    """Runs a command in several processes; the exit code of all of them."""
    received, workers, readers = [], [], []
    for signum in (signal.SIGINT, signal.SIGTERM):
        # A shell's background jobs ignore Ctrl-C.
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, lambda number, frame: received.append(number))
    exit_code, kill_at = 0, None
    try:
        for index, environment in enumerate(environments):
            # In a group of its own: the processes it starts end with it.
            worker = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
            )
            workers.append(worker)
            for name in ("stdout", "stderr"):
                pipes = getattr(worker, name), getattr(sys, name).buffer
                reader = threading.Thread(
                    target=copy, args=(index, *pipes, received), daemon=True
                )
                reader.start()
                readers.append(reader)
        while True:
            ended = [worker.poll() for worker in workers]
            failed = [(i, code) for i, code in enumerate(ended) if code]
            signum = received.pop(0) if received else None
            if kill_at is None and (signum or failed):
                kill_at = time.monotonic() + GRACE
                if signum:
                    exit_code = 128 + signum
                    say(f"Stopping the workers ({signal.Signals(signum).name})")
                else:
                    index, code = failed[0]
                    exit_code = code if code > 0 else 128 - code
                    say(f"Worker {index} ended with exit code {exit_code}.")
                polite = signum if signum == signal.SIGINT else signal.SIGTERM
                send(workers, polite)
            elif kill_at and (signum or time.monotonic() > kill_at):
                send(workers, signal.SIGKILL)
            if None not in ended:
                return exit_code
            time.sleep(0.05)
    finally:
        send(workers, signal.SIGKILL)
        for reader in readers:
            reader.join(GRACE)


def copy(index, source, target, received):
    """Prints a worker's lines behind its name."""
    for line in source:
        # Of a line that was written over, as a progress bar, the end.
        line = line.rstrip(b"\r\n").rpartition(b"\r")[2]
        try:
            target.write(f"[worker {index}] ".encode() + line + b"\n")
            target.flush()
        except BrokenPipeError:
            received.append(signal.SIGPIPE)
            break


def send(workers, signum):
    """Sends a signal to the process groups of workers."""
    for worker in workers:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.pid, signum)


def say(sentence):
    make_console(stderr=True).print(sentence, style="yellow", soft_wrap=True)
