import socket

import pytest

from keras_lbreg.cli.launcher.free_ports import AUTOMATIC, free_ports


def test_ports_are_distinct_and_can_be_used():
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert set(ports) <= set(AUTOMATIC)
    for port in ports:
        socket.create_server(("", port)).close()


def test_a_used_port_is_passed_over(monkeypatch):
    ports = free_ports(3)
    monkeypatch.setattr("random.SystemRandom.sample", lambda *_: ports)
    with socket.create_server(("127.0.0.1", ports[0])):
        assert free_ports(2) == ports[1:]


def consecutive_ports():
    """Return a port that is free together with the next one."""
    for port in free_ports(100):
        try:
            return free_ports(2, first=port)[0]
        except ValueError:
            continue
    raise RuntimeError("no two free ports beside each other")


def test_given_ports_are_consecutive():
    first = consecutive_ports()
    assert free_ports(2, first) == [first, first + 1]


@pytest.mark.parametrize("address", ["127.0.0.1", ""])
def test_a_given_port_in_use(address):
    first = consecutive_ports()
    with (
        socket.create_server((address, first + 1)),
        pytest.raises(ValueError, match=f"Port {first + 1} cannot be used"),
    ):
        free_ports(2, first)


def test_a_port_whose_connection_was_just_closed_is_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        # The side that closes first keeps the port in TIME_WAIT.
        server.accept()[0].close()
        client.close()
    assert free_ports(1, first=port) == [port]


@pytest.mark.parametrize("first", [0, -1, 65535])
def test_ports_that_do_not_exist(first):
    with pytest.raises(ValueError, match="between 1 and 65535"):
        free_ports(2, first)
