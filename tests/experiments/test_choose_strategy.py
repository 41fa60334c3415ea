import json
import sys

import keras
import pytest

from keras_lbreg.experiments import choose_strategy

BACKEND = keras.backend.backend()
SEVERAL = {"tensorflow": "mirrored", "jax": "jax-data-parallel"}[BACKEND]
OTHER = {"tensorflow": "jax-data-parallel", "jax": "mirrored"}[BACKEND]
# The function has taken its module's name.
MODULE = sys.modules["keras_lbreg.experiments.choose_strategy"]

CLUSTER_OF_ONE = {
    "cluster": {"worker": ["a:1"]},
    "task": {"type": "worker", "index": 0},
}


@pytest.fixture
def one_device(monkeypatch):
    """As on a machine without GPUs."""
    monkeypatch.setattr(MODULE, "all_devices", lambda backend: ["CPU:0"])
    MODULE.make.cache_clear()
    yield
    MODULE.make.cache_clear()


def test_auto_takes_all_devices_and_says_why():
    placement = choose_strategy("auto")
    assert placement.describe() == (
        f"Strategy: {SEVERAL}, 8 devices (this process has 8 devices)"
    )
    assert placement.replicas == (8 if BACKEND == "tensorflow" else 1)
    assert placement.is_chief
    # One default strategy in a process.
    assert choose_strategy(SEVERAL, None).handle is placement.handle


def test_auto_on_one_device(one_device):
    placement = choose_strategy("auto")
    assert placement.handle is None
    assert placement.describe() == (
        "Strategy: one, one device (the only device is CPU:0)"
    )


def test_auto_with_a_number_of_devices():
    assert choose_strategy("auto", 1).strategy == "one"
    assert choose_strategy("auto", 3).devices == 3


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
    words = f"--strategy multi-worker.*names 3 workers.*unset.*'{strategy}'"
    with pytest.raises(ValueError, match=words):
        choose_strategy(strategy)


def test_one_worker_may_train_alone(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps(CLUSTER_OF_ONE))
    assert choose_strategy("one").devices == 1


@pytest.mark.tensorflow
def test_a_cluster_comes_first(cluster_of_three):
    assert MODULE.automatic("tensorflow", None) == (
        "multi-worker",
        "TF_CONFIG names 3 workers",
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize("config", ["", "{}", json.dumps(CLUSTER_OF_ONE)])
def test_no_cluster(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    assert MODULE.automatic("tensorflow", None)[0] == "mirrored"


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("config", "message"),
    [("", "no TF_CONFIG"), ("{}", "no TF_CONFIG"), ("{", "TF_CONFIG.*JSON")],
)
def test_workers_without_a_cluster(monkeypatch, config, message):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=message):
        choose_strategy("multi-worker")


@pytest.mark.tensorflow
def test_workers_use_all_their_devices():
    with pytest.raises(ValueError, match=r"`devices`.*CUDA_VISIBLE"):
        choose_strategy("multi-worker", 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("two",), "`strategy`.*mirrored.*'two'"),
        (("one", 2), "`devices`.*strategy 'one'.*devices=2"),
        ((SEVERAL, 9), "`devices`.*2 to 8.*devices=9"),
        ((SEVERAL, 1), "`devices`.*2 to 8.*devices=1"),
        (("auto", 9), "`devices`.*2 to 8.*devices=9"),
        ((OTHER,), f"backend {BACKEND} has.*--backend.*'{OTHER}'"),
    ],
)
def test_what_cannot_be_had(arguments, message):
    with pytest.raises(ValueError, match=message):
        choose_strategy(*arguments)


def test_several_devices_where_there_is_one(one_device):
    for devices in (None, 2):
        with pytest.raises(ValueError, match=r"'one'.*--virtual-devices"):
            choose_strategy(SEVERAL, devices)
