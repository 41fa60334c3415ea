"""What processes need that share one machine."""

import contextlib
import os
import random
import shutil
import socket
import subprocess


def free_ports(count):
    """Ports of this machine that nobody listens on."""
    # Below the range of outgoing connections, none of which can then occupy a
    # port before its worker does. All stay bound, so that none comes twice.
    ports = []
    with contextlib.ExitStack() as stack:
        while len(ports) < count:
            server = stack.enter_context(socket.socket())
            port = random.SystemRandom().randrange(15000, 32768)
            with contextlib.suppress(OSError):
                server.bind(("", port))
                ports.append(port)
    return ports


def own_gpus(index, count):
    """The variable that names the GPUs of one of `count` processes, if any."""
    gpus = visible_gpus()
    share = gpus[index::count][: len(gpus) // count]
    return {"CUDA_VISIBLE_DEVICES": ",".join(share)} if share else {}


def visible_gpus():
    """The names by which CUDA knows the GPUs that may be used."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        if shutil.which(query[0]) is None:
            return []
        answer = subprocess.run(query, capture_output=True, text=True)
        return [] if answer.returncode else answer.stdout.split()
    # CUDA ignores an invalid name and all that follow it.
    names = chosen.replace(" ", "").partition("-1")[0].split(",")
    return [name for name in names if name]
