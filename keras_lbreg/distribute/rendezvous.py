"""Workers meet before TensorFlow starts, so that no wait is endless or mute.

TensorFlow waits for missing workers with Python's global lock in its hands: no
message can be written meanwhile, and no signal is heard. Here the chief listens
on the port that TensorFlow will have afterwards, the others come to it and say
who they are, and it lets all of them go on at once, or none.
"""

import contextlib
import errno
import logging
import os
import selectors
import socket
import time

from keras_lbreg.distribute import messages

logger = logging.getLogger("keras_lbreg")

REPORT_EVERY = 10.0
RETRY_EVERY = 0.25
# A process that is being stopped gives back its port within so many seconds.
WAIT_FOR_PORT = 10.0
# The chief's own deadline may come a moment later than a worker's.
GRACE = 5.0


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
    with listen(cluster, deadline) as listener:
        if cluster.is_chief:
            _wait_for_workers(cluster, listener, deadline, timeout, facts)
            return
    _ask_chief(cluster, deadline, timeout, facts)


def listen(cluster, deadline):
    """A listening socket on this worker's own port.

    Raises:
        OSError: If another process listens there, and does not end soon.
    """
    port = int(cluster.addresses[cluster.index].rpartition(":")[2])
    deadline = min(deadline, time.monotonic() + WAIT_FOR_PORT)
    try:
        return _listen_until(deadline, port, cluster.size)
    except OSError as error:
        raise OSError(
            f"Worker {cluster.index} cannot listen on port {port}, its own in "
            f"the cluster ({os.strerror(error.errno)}). Perhaps a worker of an "
            "earlier run is still alive, or two workers have the same index: "
            "stop it, or choose another port on all workers."
        ) from error


def _listen_until(deadline, port, backlog):
    told = False
    while True:
        try:
            return _listen_on(port, backlog)
        except OSError as error:
            # A worker of an earlier run may be about to end.
            left = deadline - time.monotonic()
            if error.errno != errno.EADDRINUSE or left <= 0:
                raise
        if not told:
            logger.warning(
                "Port %d is in use. Waiting %.0f s for it.", port, left
            )
            told = True
        time.sleep(min(RETRY_EVERY, left))


def _listen_on(port, backlog):
    try:
        # Hears IPv4, too.
        return socket.create_server(
            ("", port),
            family=socket.AF_INET6,
            backlog=backlog,
            dualstack_ipv6=True,
        )
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise
        # A machine without IPv6.
        return socket.create_server(("", port), backlog=backlog)


def _wait_for_workers(cluster, listener, deadline, timeout, facts):
    """The chief's part."""
    # Workers by index, and those who have not said yet who they are, with what
    # they have said: a port scanner that keeps silent keeps nobody waiting.
    arrived, unknown = {}, {}
    next_report = time.monotonic() + REPORT_EVERY
    listener.setblocking(False)
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(listener, selectors.EVENT_READ)

        def answer(**message):
            for connection in arrived.values():
                with contextlib.suppress(OSError):
                    messages.send(connection, message)

        def forget(connection):
            selector.unregister(connection)
            connection.close()
            return unknown.pop(connection, None)

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
            events = selector.select(min(deadline, next_report) - now)
            ready = {key.fileobj for key, _ in events}
            # Who has arrived has nothing more to say: it is gone. It may be
            # among those that come, too.
            for index, connection in list(arrived.items()):
                if connection in ready:
                    forget(arrived.pop(index))
            for connection in ready & unknown.keys():
                hello = _hear(connection, unknown, facts)
                if hello is None:
                    forget(connection)
                elif hello:
                    index, problem = _judge(hello, cluster, arrived, facts)
                    del unknown[connection]
                    if problem:
                        answer(error=problem)
                        with contextlib.suppress(OSError):
                            messages.send(connection, {"error": problem})
                        raise ValueError(_wrong(problem))
                    arrived[index] = connection
            if listener in ready:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    # It has left again; or there are too many open files.
                    time.sleep(RETRY_EVERY)
                    continue
                stack.callback(connection.close)
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_READ)
                unknown[connection] = b""
        answer(complete=True)


def _hear(connection, unknown, facts):
    """A hello; an empty dictionary if more is to come; None from a stranger."""
    try:
        said = connection.recv(2**16)
    except BlockingIOError:
        return {}
    except OSError:
        return None
    unknown[connection] += said
    if not said or len(unknown[connection]) > messages.LONGEST_LINE:
        return None
    if not said.endswith(b"\n"):
        return {}
    hello = messages.parse(unknown[connection])
    theirs = hello.get("facts")
    if not isinstance(theirs, dict):
        return None
    addresses = theirs.get("addresses")
    if not isinstance(addresses, list) or not any(
        address in facts["addresses"] for address in addresses
    ):
        # A worker of another cluster, which has taken us for its chief.
        return None
    return hello


def _judge(hello, cluster, arrived, facts):
    """A worker's index, and what speaks against it."""
    index = hello.get("index")
    problem = _disagreement(cluster, index, hello["facts"], facts)
    if not problem and index in arrived:
        problem = f"There are two workers with the index {index}."
    return index, problem


def _ask_chief(cluster, deadline, timeout, facts):
    """The part of all the others."""
    host, _, port = cluster.addresses[0].rpartition(":")
    chief = f"worker 0 ({cluster.addresses[0]})"
    missing = chief
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
        if "complete" in message:
            return
        if "error" in message:
            raise ValueError(_wrong(message["error"]))
        if "missing" in message:
            raise RuntimeError(_not_complete(message["missing"]))
        # It was somebody else, or the chief has left, or the time is over.
        missing = message.get("waiting", chief)
        time.sleep(RETRY_EVERY)
    raise RuntimeError(
        _not_complete(f"No sign of {missing} within {timeout:g} s.")
    )


def _exchange(connection, cluster, deadline, facts):
    """Says hello; returns the last word, which is empty if there is none.

    It is `"waiting"` if there is no other in time.
    """
    waiting = {}
    with contextlib.suppress(OSError):
        messages.send(connection, {"index": cluster.index, "facts": facts})
        while message := messages.receive(connection, deadline + GRACE):
            if "waiting" not in message:
                return message
            waiting = message
            logger.warning("Waiting for %s.", message["waiting"])
    return waiting if time.monotonic() >= deadline else {}


def _disagreement(cluster, index, theirs, ours):
    if not isinstance(index, int) or not 0 < index < cluster.size:
        return f"There is a worker with the index {messages.shown(index)}."
    for name, value in ours.items():
        if theirs.get(name) != value:
            received = messages.shown(theirs.get(name))
            return (
                f"Worker {index} has {name} {received}, worker 0 has {value!r}."
            )
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
