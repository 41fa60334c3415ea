"""Workers that meet: threads with real sockets, no TensorFlow."""

import concurrent.futures
import contextlib
import json
import logging
import socket
import threading
import time

import pytest

from keras_lbreg.cli.launcher.free_ports import free_ports
from keras_lbreg.distribute import rendezvous
from keras_lbreg.distribute.cluster import Cluster

FACTS = {"number of devices": 1, "keras": "3.15.1"}


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(rendezvous, "RETRY_EVERY", 0.01)
    monkeypatch.setattr(rendezvous, "WAIT_FOR_PORT", 1.0)
    monkeypatch.setattr(rendezvous, "GRACE", 0.5)


@pytest.fixture
def addresses():
    return tuple(f"127.0.0.1:{port}" for port in free_ports(3))


def meet(addresses, index, facts=FACTS, timeout=20):
    """What `meet` raises in a worker, or None."""
    try:
        rendezvous.meet(Cluster(tuple(addresses), index), timeout, facts)
    except (OSError, RuntimeError, ValueError) as error:
        return error
    return None


class Workers:
    """Threads that stand for workers."""

    def __init__(self, pool):
        self.pool = pool
        self.futures = []

    def start(self, *args, **kwargs):
        self.futures.append(self.pool.submit(meet, *args, **kwargs))

    def results(self):
        return [future.result(20) for future in self.futures]


@pytest.fixture
def workers():
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        yield Workers(pool)


@contextlib.contextmanager
def connection_to(address):
    """A connection, as soon as somebody listens there."""
    host, port = address.split(":")
    deadline = time.monotonic() + 10
    while True:
        try:
            connection = socket.create_connection((host, int(port)), 5)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    with connection:
        yield connection


def say_hello(connection, addresses, index, facts=FACTS):
    facts = {**facts, "addresses": list(addresses)}
    line = json.dumps({"index": index, "facts": facts})
    connection.sendall(line.encode() + b"\n")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_all_go_on_whoever_comes_first(addresses, workers, order):
    for index in order:
        workers.start(addresses, index)
        time.sleep(0.05)
    assert workers.results() == [None] * 3


def test_nobody_goes_on_before_the_last_one_is_there(addresses, workers):
    workers.start(addresses, 0)
    workers.start(addresses, 1)
    time.sleep(0.2)
    assert not any(future.done() for future in workers.futures)
    workers.start(addresses, 2)
    assert workers.results() == [None] * 3


def test_the_missing_one_is_named_on_all_workers(addresses, workers):
    workers.start(addresses, 0, timeout=0.5)
    workers.start(addresses, 1, timeout=5)
    for error in workers.results():
        assert isinstance(error, RuntimeError)
        assert "not complete" in str(error)
        assert f"No sign of worker 2 ({addresses[2]})" in str(error)
        assert "start all again" in str(error)


def test_a_missing_chief_is_named(addresses):
    error = meet(addresses, 1, timeout=0.3)
    assert isinstance(error, RuntimeError)
    assert f"No sign of worker 0 ({addresses[0]}) within 0.3 s" in str(error)


def test_whoever_waits_says_for_whom(addresses, workers, monkeypatch, caplog):
    monkeypatch.setattr(rendezvous, "REPORT_EVERY", 0.1)
    caplog.set_level(logging.WARNING, "keras_lbreg")
    workers.start(addresses, 1)
    time.sleep(0.25)
    assert f"Waiting for worker 0 ({addresses[0]})." in caplog.messages
    workers.start(addresses, 0)
    time.sleep(0.35)
    expected = f"Waiting for worker 2 ({addresses[2]})."
    # On the chief, and on the other one that has arrived.
    assert caplog.messages.count(expected) >= 2
    workers.start(addresses, 2)
    assert workers.results() == [None] * 3


def test_two_workers_with_one_index_are_told(addresses, workers):
    for index in (0, 1, 1):
        workers.start(addresses, index, timeout=3)
        time.sleep(0.1)
    # The two share a machine here: either the second cannot have the port, or
    # the chief hears of both.
    errors = workers.results()
    assert all(errors)
    assert any("two workers with the index 1" in str(e) for e in errors) or any(
        "cannot listen on port" in str(e) for e in errors
    )


def test_two_workers_with_one_index_on_two_machines(addresses, workers):
    workers.start(addresses, 0)
    with (
        connection_to(addresses[0]) as one,
        connection_to(addresses[0]) as other,
    ):
        say_hello(one, addresses, 1)
        time.sleep(0.1)
        say_hello(other, addresses, 1)
        [error] = workers.results()
        assert isinstance(error, ValueError)
        assert "two workers with the index 1" in str(error)
        for connection in (one, other):
            answer = json.loads(connection.recv(4096))
            assert "two workers with the index 1" in answer["error"]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({**FACTS, "number of devices": 2}, "number of devices 2"),
        ({**FACTS, "keras": "3.14.0"}, "keras '3.14.0', worker 0 has '3.15.1'"),
        ({}, "number of devices None"),
    ],
)
def test_workers_that_differ_are_told(addresses, workers, facts, said):
    workers.start(addresses, 0)
    workers.start(addresses, 1, facts)
    for error in workers.results():
        assert isinstance(error, ValueError)
        assert f"Worker 1 has {said}" in str(error)


def test_workers_with_other_addresses_are_told(addresses, workers):
    workers.start(addresses, 0)
    workers.start([addresses[0], addresses[2], addresses[1]], 1)
    for error in workers.results():
        assert isinstance(error, ValueError)
        assert "Worker 1 has addresses" in str(error)


@pytest.mark.parametrize("index", [0, 3, -1, "1", None])
def test_an_index_that_cannot_be(addresses, workers, index):
    workers.start(addresses, 0)
    with connection_to(addresses[0]) as connection:
        say_hello(connection, addresses, index)
        [error] = workers.results()
    assert isinstance(error, ValueError)
    assert f"a worker with the index {index!r}" in str(error)


@pytest.mark.parametrize("index", [0, 1])
def test_a_port_in_use(addresses, index):
    port = int(addresses[index].split(":")[1])
    with socket.create_server(("127.0.0.1", port)):
        error = meet(addresses, index, timeout=1)
    assert isinstance(error, OSError)
    assert f"Worker {index} cannot listen on port {port}" in str(error)
    assert "another port" in str(error)


def test_a_port_in_use_for_a_moment(addresses, workers, caplog):
    """As by a worker of an earlier run that is about to end."""
    caplog.set_level(logging.WARNING, "keras_lbreg")
    port = int(addresses[0].split(":")[1])
    with socket.create_server(("127.0.0.1", port)):
        for index in range(3):
            workers.start(addresses, index)
        time.sleep(0.3)
    assert workers.results() == [None] * 3
    [message] = [m for m in caplog.messages if m.startswith("Port")]
    assert message.startswith(f"Port {port} is in use. Waiting 1 s")


def test_too_many_open_files(addresses, workers, monkeypatch):
    accept = socket.socket.accept
    failures = iter([OSError(24, "Too many open files")] * 3)

    def accept_later(listener):
        for failure in failures:
            raise failure
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", accept_later)
    for index in range(3):
        workers.start(addresses, index)
    assert workers.results() == [None] * 3
    assert not list(failures)


def test_an_impatient_worker_names_the_missing_one(
    addresses, workers, monkeypatch
):
    monkeypatch.setattr(rendezvous, "REPORT_EVERY", 0.1)
    workers.start(addresses, 0, timeout=3)
    workers.start(addresses, 1, timeout=0.7)
    error = workers.results()[1]
    assert f"No sign of worker 2 ({addresses[2]}) within 0.7 s" in str(error)


NOISE = {
    "silence": b"",
    "half a line": b'{"index": 1, "fa',
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes": b"\x16\x03\x01\x02\x00\xff\n",
    "a number": b"1\n",
    "no facts": b'{"index": 1}\n',
    "no addresses": b'{"index": 1, "facts": {"keras": "3.15.1"}}\n',
    "another cluster": (
        b'{"index": 1, "facts": {"addresses": ["10.0.0.1:1", {}, null]}}\n'
    ),
    "a long nest": b"[" * 10**5 + b"\n",
    "a long number": b"1" * 10**5 + b"\n",
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=list(NOISE))
def test_strangers_keep_nobody_waiting(addresses, workers, noise):
    workers.start(addresses, 0)
    with connection_to(addresses[0]) as stranger:
        stranger.sendall(noise)
        time.sleep(0.05)
        start = time.monotonic()
        workers.start(addresses, 1)
        workers.start(addresses, 2)
        assert workers.results() == [None] * 3
        assert time.monotonic() - start < 3


def test_a_hello_in_pieces_is_heard(addresses, workers):
    workers.start(addresses, 0)
    workers.start(addresses, 2)
    facts = {**FACTS, "addresses": list(addresses)}
    line = json.dumps({"index": 1, "facts": facts}).encode() + b"\n"
    with connection_to(addresses[0]) as connection:
        for start in range(0, len(line), 40):
            connection.sendall(line[start : start + 40])
            time.sleep(0.01)
        assert workers.results() == [None] * 2
        assert json.loads(connection.recv(100)) == {"complete": True}


def test_a_worker_that_leaves_is_waited_for_again(addresses, workers):
    workers.start(addresses, 0, timeout=1)
    with connection_to(addresses[0]) as connection:
        say_hello(connection, addresses, 1)
        time.sleep(0.1)
    workers.start(addresses, 2)
    for error in workers.results():
        assert f"No sign of worker 1 ({addresses[1]})" in str(error)


def test_a_worker_that_comes_back_is_welcome(addresses, workers):
    workers.start(addresses, 0)
    with connection_to(addresses[0]) as connection:
        say_hello(connection, addresses, 1)
        time.sleep(0.1)
    workers.start(addresses, 1)
    workers.start(addresses, 2)
    assert workers.results() == [None] * 3


def test_what_others_send_is_cut_and_made_printable(addresses, workers):
    workers.start(addresses, 0)
    with connection_to(addresses[0]) as connection:
        facts = {**FACTS, "keras": "\x1b[31m" + 10**6 // 2 * "x"}
        say_hello(connection, addresses, 1, facts)
        [error] = workers.results()
    assert "Worker 1 has keras '\\x1b[31mxxx" in str(error)
    assert len(str(error)) < 1000
    thread = strange_chief(
        addresses[0],
        json.dumps({"error": "\x1b[31m" + 10**4 * "x"}).encode() + b"\n",
    )
    error = meet(addresses, 1)
    thread.join(10)
    assert "fit together. ?[31mxxx" in str(error)
    assert len(str(error)) < 1500


def test_a_chief_that_speaks_slowly_is_not_listened_to_for_ever(addresses):
    host, port = addresses[0].split(":")

    def dribble(server):
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            while True:
                connection.sendall(b" ")
                time.sleep(0.05)

    with socket.create_server((host, int(port))) as server:
        threading.Thread(target=dribble, args=[server], daemon=True).start()
        start = time.monotonic()
        error = meet(addresses, 1, timeout=1)
    assert f"No sign of worker 0 ({addresses[0]}) within 1 s" in str(error)
    assert time.monotonic() - start < 5


def strange_chief(address, *answers):
    """Listens in the chief's place, once for each of the answers."""
    host, port = address.split(":")
    server = socket.create_server((host, int(port)))

    def serve():
        with server:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(2**16)
                    connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def test_a_worker_goes_on_looking_for_the_chief(addresses, workers):
    thread = strange_chief(
        addresses[0],
        *(b"", b"HTTP/1.1 400\n", b"[1]\n", b'{"hello": 1}\n'),
        b"[" * 10**5 + b"\n",
    )
    workers.start(addresses, 1)
    thread.join(10)
    assert not workers.futures[0].done()
    workers.start(addresses, 0)
    workers.start(addresses, 2)
    assert workers.results() == [None] * 3


@pytest.mark.parametrize("host", ["localhost", "[::1]"])
def test_names_and_ipv6_addresses(addresses, workers, host):
    if host == "[::1]" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    named = [f"{host}:{address.split(':')[1]}" for address in addresses]
    for index in range(3):
        workers.start(named, index)
    assert workers.results() == [None] * 3


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_a_machine_without_ipv6(addresses, workers, monkeypatch):
    create = socket.create_server

    def without_ipv6(address, **kwargs):
        if kwargs.get("family") == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return create(address, **kwargs)

    monkeypatch.setattr(socket, "create_server", without_ipv6)
    for index in range(3):
        workers.start(addresses, index)
    assert workers.results() == [None] * 3


def test_the_port_is_free_afterwards(addresses, workers):
    for index in range(3):
        workers.start(addresses, index)
    assert workers.results() == [None] * 3
    for address in addresses:
        host, port = address.split(":")
        socket.create_server((host, int(port))).close()
