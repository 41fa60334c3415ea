import json

import pytest

from keras_lbreg.cli.launcher.worker_environment import (
    check_outside_cluster,
    worker_environment,
)


def test_both_backends_find_their_cluster():
    environment = worker_environment(1, [7001, 7002], {}, environ={"A": "b"})
    assert environment["A"] == "b"
    assert json.loads(environment["TF_CONFIG"]) == {
        "cluster": {"worker": ["127.0.0.1:7001", "127.0.0.1:7002"]},
        "task": {"type": "worker", "index": 1},
    }
    prefix = "KERAS_DISTRIBUTION_"
    assert {
        name.removeprefix(prefix): value
        for name, value in environment.items()
        if name.startswith(prefix)
    } == {
        "JOB_ADDRESSES": "127.0.0.1:7001,127.0.0.1:7002",
        "NUM_PROCESSES": "2",
        "PROCESS_ID": "1",
    }


@pytest.mark.tensorflow
def test_tensorflow_understands_it(monkeypatch):
    import tensorflow as tf

    environment = worker_environment(1, [7001, 7002, 7003], {})
    monkeypatch.setenv("TF_CONFIG", environment["TF_CONFIG"])
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    assert (resolver.task_type, resolver.task_id) == ("worker", 1)
    assert resolver.cluster_spec().num_tasks("worker") == 3


def test_keras_understands_it(monkeypatch):
    """Keras 3.15 reads these names when `initialize` gets no arguments."""
    import keras

    environment = worker_environment(1, [7001, 7002], {})
    for name, value in environment.items():
        if name.startswith("KERAS_DISTRIBUTION_"):
            monkeypatch.setenv(name, value)
    passed_on = []
    library = keras.distribution.initialize.__globals__["distribution_lib"]
    monkeypatch.setattr(
        library,
        "initialize",
        lambda *words: passed_on.append(words),
        # Keras has it for JAX only.
        raising=False,
    )
    keras.distribution.initialize()
    assert passed_on == [("127.0.0.1:7001,127.0.0.1:7002", 2, 1)]


def test_gpus_are_left_alone_or_set():
    given = {"CUDA_VISIBLE_DEVICES": "0,1"}
    for gpus, expected in ((None, "0,1"), ("1", "1")):
        environment = worker_environment(0, [7001], {}, gpus, environ=given)
        assert environment["CUDA_VISIBLE_DEVICES"] == expected
    assert given == {"CUDA_VISIBLE_DEVICES": "0,1"}


@pytest.mark.parametrize(
    "name", ["TF_CONFIG", "KERAS_DISTRIBUTION_JOB_ADDRESSES"]
)
def test_a_process_of_a_cluster_is_refused(name):
    for nothing in ({}, {name: ""}, {name: "{}"}):
        check_outside_cluster(nothing)
    with pytest.raises(ValueError, match=rf"(?s){name} is set.*unset {name}"):
        check_outside_cluster({name: '{"cluster": {"worker": ["a:1"]}}'})
