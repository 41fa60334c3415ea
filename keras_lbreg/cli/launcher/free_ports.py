"""Ports of this machine that nobody listens on."""

import contextlib
import random
import socket

# Below the range from which operating systems take the ports of outgoing
# connections: none of those can occupy a port between the choice here and the
# moment the worker listens on it.
AUTOMATIC = range(15000, 32768)
LARGEST = 65535


def free_ports(count, first=None):
    """Return `count` TCP ports that nobody listens on.

    Args:
        count: How many.
        first: The first of consecutive ports. `None` chooses at random.

    Returns:
        A list of `count` port numbers.

    Raises:
        ValueError: If a port of the range `first` names cannot be had.
    """
    if first is None:
        candidates = random.SystemRandom().sample(AUTOMATIC, len(AUTOMATIC))
    else:
        candidates = range(first, first + count)
        if first < 1 or candidates[-1] > LARGEST:
            raise ValueError(
                "Invalid value for option `--port`. Expected `auto` or the "
                f"first of {count} ports between 1 and {LARGEST}. Received: "
                f"{first}"
            )
    ports = []
    # All stay bound until the last is found, so that none is given twice.
    with contextlib.ExitStack() as stack:
        for port in candidates:
            if len(ports) == count:
                break
            try:
                stack.enter_context(bound_socket(port))
            except OSError as error:
                if first is None:
                    continue
                raise ValueError(
                    f"Port {port} cannot be used: {error.strerror}. The "
                    f"{count} workers need the ports {first} to "
                    f"{candidates[-1]} (option `--port`). Expected all of "
                    "them to be free: choose another first port, or `--port "
                    "auto`, or end the program that holds it."
                ) from None
            ports.append(port)
    return ports


def bound_socket(port):
    # On all addresses, as TensorFlow and JAX bind theirs.
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port whose last connection has just been closed is free.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("", port))
        # Two sockets with SO_REUSEADDR can be bound to a port of which only
        # one listens: listening is the proof.
        server.listen(1)
    except OSError:
        server.close()
        raise
    return server
