"""`lbreg launch`: several processes of one command, as one cluster."""

import os
import shlex
from typing import Annotated

import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.console import make_console
from keras_lbreg.cli.errors import BAD_USAGE, report_errors
from keras_lbreg.cli.launcher.free_ports import free_ports
from keras_lbreg.cli.launcher.local_cluster import LocalCluster
from keras_lbreg.cli.launcher.worker_command import (
    command_to_go_on,
    worker_command,
)
from keras_lbreg.cli.launcher.worker_environment import (
    check_outside_cluster,
    worker_environment,
)
from keras_lbreg.cli.launcher.worker_output import WorkerOutput
from keras_lbreg.processes.gpus import NO_GPU, share_gpus, visible_gpus
from keras_lbreg.processes.thread_settings import thread_settings

CLUSTER = "The cluster"
SHARE = "Each worker's share of this machine"


@report_errors
def launch(
    context: typer.Context,
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND",
            help=(
                "What every worker runs, best after `--`: an lbreg command, "
                "a Python file, or another program."
            ),
        ),
    ],
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of processes to start.",
            rich_help_panel=CLUSTER,
        ),
    ],
    port: Annotated[
        str,
        typer.Option(
            metavar="FIRST|auto",
            help=(
                "Port of worker 0; the others take the following ones. "
                "`auto` finds free ports."
            ),
            rich_help_panel=CLUSTER,
        ),
    ] = "auto",
    restarts: Annotated[
        int,
        typer.Option(
            min=0,
            help=(
                "How often to start all workers again when one fails. An "
                "lbreg command goes on from its last saved epoch. Exit code "
                "2, bad arguments, is final."
            ),
            rich_help_panel=CLUSTER,
        ),
    ] = 0,
    grace: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="How long a worker may take to stop before it is killed.",
            rich_help_panel=CLUSTER,
        ),
    ] = 10,
    log_dir: Annotated[
        str | None,
        typer.Option(
            help="Folder for worker-0.log and so on: all that each prints.",
            rich_help_panel=options.WHERE,
        ),
    ] = None,
    threads_per_worker: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=(
                "Threads that compute. Default: TF_NUM_INTRAOP_THREADS, "
                "PJRT_NPROC and OMP_NUM_THREADS if you have set them, else "
                "the cores divided by the workers."
            ),
            rich_help_panel=SHARE,
        ),
    ] = None,
    gpus_per_worker: Annotated[
        int | None,
        typer.Option(
            min=0,
            help=(
                "GPUs, set by CUDA_VISIBLE_DEVICES. Default: the GPUs "
                "divided by the workers. 0 hides them."
            ),
            rich_help_panel=SHARE,
        ),
    ] = None,
    debug: options.Debug = False,
):
    """
    Run a command in several processes of this machine, as one cluster.

    Each worker gets a `TF_CONFIG`, which `lbreg train` and TensorFlow's
    multi-worker strategy read, and `KERAS_DISTRIBUTION_*` for a program of
    yours that calls `keras.distribution.initialize()` on JAX. What a worker
    prints comes out behind its name. When one fails, the others are stopped
    and `lbreg launch` ends with its exit code; Ctrl-C stops all, with
    everything that they have started.

    The batch size of a command remains that of all workers together. On
    several machines, start the command on each, with a `TF_CONFIG` of your
    own, and without `lbreg launch`.

    **Examples**

    ```shell
    lbreg launch --workers 2 -- train digits --strategy multi-worker
    lbreg launch --workers 4 --log-dir logs -- my_fit.py --epochs 10
    ```
    """
    console = make_console(stderr=True)

    def say(sentence, style="yellow"):
        console.print(sentence, style=style, markup=False, soft_wrap=True)

    check_platform()
    check_outside_cluster()
    words = worker_command(command, lbreg_commands(context))
    first_port = parse_port(port)
    threads = thread_settings(workers, threads_per_worker)
    gpus = visible_gpus()
    shares = share_gpus(gpus, workers, gpus_per_worker)
    if gpus and None in shares:
        say(
            f"Fewer GPUs ({len(gpus)}) than workers ({workers}): all see all. "
            "Use --gpus-per-worker 0 to run on the CPU.",
        )
    with WorkerOutput(workers, log_dir) as output:
        while True:
            ports = free_ports(workers, first_port)
            environments = [
                worker_environment(index, ports, threads, share)
                for index, share in enumerate(shares)
            ]
            say(describe_plan(words, ports, threads, shares), style="dim")
            output.begin(shlex.join(words))
            cluster = LocalCluster(words, environments, output, say, grace)
            outcome = cluster.run()
            final = outcome.failed is None or outcome.exit_code == BAD_USAGE
            if final or restarts == 0:
                break
            restarts -= 1
            words = command_to_go_on(words)
            say(f"Starting all workers again; restarts left: {restarts}.")
    if outcome.failed is not None:
        # The reason may have scrolled away under what the others said.
        say(f"Exit code {outcome.exit_code}, of worker {outcome.failed}.")
    raise typer.Exit(outcome.exit_code)


def check_platform():
    if os.name != "posix":
        raise ValueError(
            "`lbreg launch` needs process groups. Expected Linux or macOS (on "
            f"Windows, WSL 2, as for TensorFlow itself). Received: {os.name}"
        )


def lbreg_commands(context):
    """Return the names of the commands a worker can run."""
    names = context.find_root().command.commands
    return sorted(name for name in names if name != context.info_name)


def parse_port(port):
    """Return `--port` as a number, or `None` for `auto`."""
    if port == "auto":
        return None
    if not port.isdecimal():
        raise ValueError(
            "Invalid value for option `--port`. Expected `auto` or a number. "
            f"Received: {port}"
        )
    return int(port)


def describe_plan(words, ports, threads, shares):
    """Return what is started where, in one line."""
    parts = [
        f"{count(len(ports), 'worker')} on 127.0.0.1, "
        f"port{'s' if len(ports) > 1 else ''} {', '.join(map(str, ports))}",
        f"{count(threads['TF_NUM_INTRAOP_THREADS'], 'thread')} each",
    ]
    if shares[0] == NO_GPU:
        parts.append("no GPU")
    elif shares[0] is not None:
        parts.append(f"GPU {' | '.join(shares)}")
    return f"{'; '.join(parts)}: {shlex.join(words)}"


def count(number, noun):
    return f"{number} {noun}{'' if str(number) == '1' else 's'}"
