import json

import pytest

from keras_lbreg import distribute
from keras_lbreg.experiments.placement import ONE_DEVICE, Placement


def test_replicas_of_a_worker():
    workers = [
        Placement("multi-worker", 6, workers=3, worker=w) for w in (0, 2)
    ]
    assert [list(w.local_replicas) for w in workers] == [[0, 1], [4, 5]]
    assert [w.is_chief for w in workers] == [True, False]
    assert workers[0].describe() == (
        "Strategy: multi-worker, 6 devices of 3 workers (the default)"
    )


def test_devices_of_jax_are_no_replicas():
    placement = Placement("jax-data-parallel", 4)
    assert placement.replicas == 1
    assert list(placement.local_replicas) == [0]


def test_one_process_calls_by_itself():
    assert ONE_DEVICE.on_chief(lambda: 3) == 3
    with pytest.raises(OSError, match="disk"):
        ONE_DEVICE.on_chief(raise_disk_full)


def raise_disk_full():
    raise OSError("disk full")


@pytest.fixture
def wire(monkeypatch):
    """Carries what the chief sends to workers that call after it."""
    sent = []

    def broadcast(handle, arrays):
        if arrays is not None:
            sent[:] = arrays
        return list(sent)

    monkeypatch.setattr(distribute, "broadcast_from_chief", broadcast)


def test_the_chief_decides(wire):
    chief, other = (
        Placement("multi-worker", 2, workers=2, worker=w) for w in (0, 1)
    )
    calls = []

    def find_out():
        calls.append("called")
        return {"epoch": 3}

    assert chief.on_chief(find_out) == {"epoch": 3}
    assert other.on_chief(find_out) == {"epoch": 3}
    assert calls == ["called"]


@pytest.mark.parametrize(
    ("raised", "of_the_others"),
    [
        (ValueError("bad"), ValueError),
        (json.JSONDecodeError("bad", "{", 0), ValueError),
        (OSError(28, "bad"), OSError),
        (FileNotFoundError(2, "bad"), FileNotFoundError),
        (ConnectionError("bad"), OSError),
        (ZeroDivisionError("bad"), RuntimeError),
    ],
)
def test_what_stops_the_chief_stops_all(wire, raised, of_the_others):
    chief, other = (
        Placement("multi-worker", 2, workers=2, worker=w) for w in (0, 1)
    )

    def fail():
        raise raised

    with pytest.raises(type(raised), match="bad"):
        chief.on_chief(fail)
    with pytest.raises(of_the_others, match=r"chief, worker 0.*bad") as caught:
        other.on_chief(fail)
    assert caught.type is of_the_others


def test_a_result_that_cannot_travel_stops_all(wire):
    chief, other = (
        Placement("multi-worker", 2, workers=2, worker=w) for w in (0, 1)
    )
    for worker in (chief, other):
        with pytest.raises(TypeError, match="plain data"):
            worker.on_chief(lambda: chief)
