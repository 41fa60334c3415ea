"""Workers meet before TensorFlow starts, so that no wait is endless or mute.

TensorFlow waits for missing workers with Python's global lock in its hands: no
message can be written meanwhile, and no signal is heard. Here the chief listens
on the port that TensorFlow will have afterwards, the others come to it and say
who they are, and it lets all of them go on at once, or none.

Every message is one line of JSON.
"""

import contextlib
import json
import logging
import select
import socket
import time

logger = logging.getLogger("keras_lbreg")

REPORT_EVERY = 10.0
RETRY_EVERY = 0.25
LONGEST_LINE = 2**20


def meet(cluster, timeout, facts):
    """Returns when all workers of the cluster have called it.

    Args:
        cluster: The `Cluster`, of two workers or more.
        timeout: Seconds to wait for the others.
        facts: Dictionary of what has to be the same on all workers, such as
            versions and numbers of devices.

    Raises:
        OSError: If another process listens on this worker's port.
        RuntimeError: If workers are missing when the time is over.
        ValueError: On all workers, if two have the same index, or if they do
            not agree about the addresses or the facts.
    """
    facts = {**facts, "addresses": list(cluster.addresses)}
    deadline = time.monotonic() + timeout
    with listen(cluster) as listener:
        if cluster.is_chief:
            _wait_for_workers(cluster, listener, deadline, timeout, facts)
            return
    _ask_chief(cluster, deadline, timeout, facts)


def listen(cluster):
    """A listening socket on this worker's own port.

    Raises:
        OSError: If another process listens there.
    """
    port = int(cluster.addresses[cluster.index].rpartition(":")[2])
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", port))
        listener.listen(cluster.size)
    except OSError as error:
        listener.close()
        raise OSError(
            f"Worker {cluster.index} cannot listen on port {port}, its own in "
            f"the cluster ({error.strerror}). Perhaps a worker of an earlier "
            "run is still alive, or two workers have the same index: stop it, "
            "or choose another port on all workers."
        ) from error
    return listener


def _wait_for_workers(cluster, listener, deadline, timeout, facts):
    """The chief's part."""
    arrived = {}
    with contextlib.ExitStack() as connections:

        def answer(**message):
            for connection in arrived.values():
                with contextlib.suppress(OSError):
                    _send(connection, message)

        next_report = time.monotonic() + REPORT_EVERY
        while len(arrived) < cluster.size - 1:
            missing = ", ".join(
                f"worker {index} ({address})"
                for index, address in cluster.others()
                if index not in arrived
            )
            now = time.monotonic()
            if now >= deadline:
                reason = f"No sign of {missing} within {timeout:g} s."
                answer(missing=reason)
                raise RuntimeError(_not_complete(reason))
            if now >= next_report:
                logger.warning("Waiting for %s.", missing)
                answer(waiting=missing)
                next_report = now + REPORT_EVERY
            listener.settimeout(min(deadline, next_report) - now)
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connections.callback(connection.close)
            hello = _receive(connection, now + REPORT_EVERY)
            if not isinstance(hello, dict) or "index" not in hello:
                continue  # A stranger, such as a port scanner.
            index = hello["index"]
            problem = _disagreement(cluster, index, hello["facts"], facts)
            if index in arrived and not _has_left(arrived[index]):
                problem = f"There are two workers with the index {index}."
            arrived[index] = connection
            if problem:
                answer(error=problem)
                _send(connection, {"error": problem})
                raise ValueError(_wrong(problem))
        answer(complete=True)


def _ask_chief(cluster, deadline, timeout, facts):
    """The part of all the others."""
    host, _, port = cluster.addresses[0].rpartition(":")
    chief = f"worker 0 ({cluster.addresses[0]})"
    next_report = time.monotonic() + REPORT_EVERY
    while (now := time.monotonic()) < deadline:
        if now >= next_report:
            logger.warning("Waiting for %s.", chief)
            next_report = now + REPORT_EVERY
        try:
            connection = socket.create_connection(
                (host.strip("[]"), int(port)), min(5.0, deadline - now)
            )
        except OSError:
            time.sleep(RETRY_EVERY)
            continue
        with connection:
            message = _exchange(connection, cluster, deadline, facts)
        if message is None:
            # It was somebody else, or the chief has left.
            time.sleep(RETRY_EVERY)
        elif "error" in message:
            raise ValueError(_wrong(message["error"]))
        elif "missing" in message:
            raise RuntimeError(_not_complete(message["missing"]))
        else:
            return
    raise RuntimeError(
        _not_complete(f"No sign of {chief} within {timeout:g} s.")
    )


def _exchange(connection, cluster, deadline, facts):
    """Says hello; returns the last word, or None if there is none."""
    try:
        _send(connection, {"index": cluster.index, "facts": facts})
        # The chief's own deadline may come a moment later than this one's.
        while message := _receive(connection, deadline + 5.0):
            if "waiting" not in message:
                return message
            logger.warning("Waiting for %s.", message["waiting"])
    except OSError:
        pass
    return None


def _disagreement(cluster, index, theirs, ours):
    if not isinstance(index, int) or not 0 < index < cluster.size:
        return f"There is a worker with the index {index!r}."
    for name, value in ours.items():
        if theirs.get(name) != value:
            return (
                f"Worker {index} has {name} {theirs.get(name)}, worker 0 has "
                f"{value}."
            )
    return None


def _has_left(connection):
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable)


def _send(connection, message):
    connection.settimeout(5.0)
    connection.sendall(json.dumps(message).encode() + b"\n")


def _receive(connection, deadline):
    """The next message, or None if there is none or it is no JSON."""
    line = b""
    while not line.endswith(b"\n"):
        connection.settimeout(max(0.1, deadline - time.monotonic()))
        try:
            # One at a time: what follows belongs to the next message.
            byte = connection.recv(1)
        except OSError:
            return None
        if not byte or len(line) > LONGEST_LINE:
            return None
        line += byte
    try:
        return json.loads(line)
    except ValueError:
        return None


def _not_complete(reason):
    return (
        f"The cluster is not complete. {reason} Expected all workers to be "
        "started, each with its own index, and the port of worker 0 to be "
        "open: look at what the missing ones wrote, then start all again."
    )


def _wrong(problem):
    return (
        f"The workers do not fit together. {problem} Expected the same "
        "addresses, versions and numbers of devices on all workers, and an "
        "index of its own for each. Mend it and start all workers again."
    )
