"""Which devices share a batch, and what several workers decide."""

import json

import keras
import pytest

from keras_lbreg import distribute
from keras_lbreg.files import FolderInUseError
from keras_lbreg.training import choose_strategy
from keras_lbreg.training import placement as placement_module
from keras_lbreg.training.placement import ONE_DEVICE, Placement

BACKEND = keras.backend.backend()
SEVERAL = {"tensorflow": "mirrored", "jax": "jax-data-parallel"}[BACKEND]
OTHER = {"tensorflow": "jax-data-parallel", "jax": "mirrored"}[BACKEND]
CLUSTER_OF_ONE = {
    "cluster": {"worker": ["a:1"]},
    "task": {"type": "worker", "index": 0},
}


def test_replicas():
    workers = [
        Placement("multi-worker", 6, workers=3, worker=w) for w in (0, 2)
    ]
    assert [list(w.local_replicas) for w in workers] == [[0, 1], [4, 5]]
    assert [w.is_chief for w in workers] == [True, False]
    assert workers[0].describe() == (
        "Strategy: multi-worker, 6 devices of 3 workers (the default)"
    )
    # Devices of JAX are none.
    placement = Placement("jax-data-parallel", 4)
    assert (placement.replicas, list(placement.local_replicas)) == (1, [0])


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
        (FolderInUseError("bad"), ValueError),
        (ZeroDivisionError("bad"), ZeroDivisionError),
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


@pytest.fixture
def one_device(monkeypatch):
    """As on a machine without GPUs."""
    monkeypatch.setattr(
        placement_module, "all_devices", lambda backend: ["CPU:0"]
    )
    placement_module.make.cache_clear()
    yield
    placement_module.make.cache_clear()


def test_auto_takes_all_devices_and_says_why():
    placement = choose_strategy("auto")
    assert placement.describe() == (
        f"Strategy: {SEVERAL}, 8 devices (this process has 8 devices)"
    )
    assert placement.replicas == (8 if BACKEND == "tensorflow" else 1)
    assert placement.is_chief
    # One default strategy in a process.
    assert choose_strategy(SEVERAL, None).handle is placement.handle
    assert choose_strategy("auto", 1).strategy == "one"
    assert choose_strategy("auto", 3).devices == 3


def test_auto_on_one_device(one_device):
    placement = choose_strategy("auto")
    assert placement.handle is None
    assert placement.describe() == (
        "Strategy: one, one device (the only device is CPU:0)"
    )


@pytest.fixture
def cluster_of_three(monkeypatch):
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv(
        "TF_CONFIG", json.dumps({"cluster": cluster, "task": task})
    )


@pytest.mark.parametrize("strategy", ["auto", "one", SEVERAL])
def test_workers_do_not_train_alone(cluster_of_three, strategy):
    if (strategy, BACKEND) == ("auto", "tensorflow"):
        pytest.skip("trains with all workers")
    words = f"'multi-worker'.*names 3 workers.*no TF_CONFIG.*'{strategy}'"
    with pytest.raises(ValueError, match=words):
        choose_strategy(strategy)


@pytest.mark.parametrize("config", ["", "{}", json.dumps(CLUSTER_OF_ONE)])
def test_one_worker_may_train_alone(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    assert choose_strategy("one").devices == 1


@pytest.mark.tensorflow
def test_a_cluster_comes_first():
    assert placement_module.automatic("tensorflow", None, workers=3) == (
        "multi-worker",
        "TF_CONFIG names 3 workers",
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("config", "message"),
    [("", "no TF_CONFIG"), ("{}", "no TF_CONFIG"), ("{", "TF_CONFIG.*JSON")],
)
def test_workers_without_a_cluster(monkeypatch, config, message):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=message):
        choose_strategy("multi-worker")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("two",), "`strategy`.*mirrored.*'two'"),
        (("one", 2), "`devices`.*strategy 'one'.*devices=2"),
        ((SEVERAL, 9), "`devices`.*2 to 8.*devices=9"),
        ((SEVERAL, 1), "`devices`.*2 to 8.*devices=1"),
        (("auto", 9), "`devices`.*2 to 8.*devices=9"),
        ((OTHER,), f"backend {BACKEND} has.*needs.*'{OTHER}'"),
        (("multi-worker", 2), "CUDA_VISIBLE|needs tensorflow"),
    ],
)
def test_what_cannot_be_had(arguments, message):
    with pytest.raises(ValueError, match=message):
        choose_strategy(*arguments)


def test_several_devices_where_there_is_one(one_device):
    for devices in (None, 2):
        with pytest.raises(ValueError, match=r"'one'.*one device, CPU:0"):
            choose_strategy(SEVERAL, devices)
