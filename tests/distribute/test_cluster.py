import json
import types

import numpy as np
import pytest

from keras_lbreg.distribute import broadcast_from_chief, is_chief
from keras_lbreg.distribute.cluster import (
    Cluster,
    make_cluster,
    read_tf_config,
    resolve_cluster,
)
from tests.checks import clusters

ADDRESSES = ["a:1", "b:2", "c:3"]


@pytest.fixture
def tf_config(monkeypatch):
    def set_it(value):
        text = value if isinstance(value, str) else json.dumps(value)
        monkeypatch.setenv("TF_CONFIG", text)

    monkeypatch.delenv("TF_CONFIG", raising=False)
    return set_it


def config(jobs, kind="worker", index=0):
    return {"cluster": jobs, "task": {"type": kind, "index": index}}


def test_workers(tf_config):
    tf_config(config({"worker": ADDRESSES}, index=1))
    cluster = read_tf_config()
    assert cluster == Cluster(tuple(ADDRESSES), 1)
    assert cluster.size == 3
    assert not cluster.is_chief


@pytest.mark.parametrize(
    ("kind", "index", "position"),
    [("chief", 0, 0), ("worker", 0, 1), ("worker", 1, 2)],
)
def test_a_job_of_the_chief_is_worker_0(tf_config, kind, index, position):
    jobs = {"worker": ADDRESSES[1:], "chief": ADDRESSES[:1]}
    tf_config(config(jobs, kind, index))
    assert read_tf_config() == Cluster(tuple(ADDRESSES), position)
    assert read_tf_config().is_chief == (position == 0)


def test_an_index_may_be_a_string_as_for_tensorflow(tf_config):
    tf_config(config({"worker": ADDRESSES}, index="2"))
    assert read_tf_config().index == 2


def test_other_jobs_do_not_train(tf_config):
    jobs = {"worker": ADDRESSES[:2], "evaluator": ADDRESSES[2:]}
    tf_config(config(jobs))
    assert read_tf_config().size == 2


@pytest.mark.parametrize("text", ["", "  ", "{}", '{"cluster": {}}'])
def test_no_cluster(tf_config, text):
    tf_config(text)
    assert read_tf_config() is None


def test_no_environment_variable(tf_config):
    assert read_tf_config() is None


WRONG = {
    "no JSON": ("{'cluster'", "It is no JSON"),
    "a list": ([1], "It is no JSON object"),
    "a list of jobs": (config(ADDRESSES), '"cluster" is no JSON object'),
    "no task": ({"cluster": {"worker": ADDRESSES}}, 'no "task"'),
    "no index": (
        {"cluster": {"worker": ADDRESSES}, "task": {"type": "worker"}},
        'no "task" with "type" and "index"',
    ),
    "a number for a task": (
        {"cluster": {"worker": ADDRESSES}, "task": 1},
        'no "task"',
    ),
    "index out of range": (
        config({"worker": ADDRESSES}, index=3),
        "The task's index is 3, and there are 3",
    ),
    "negative index": (config({"worker": ADDRESSES}, index=-1), "index is -1"),
    "no number": (config({"worker": ADDRESSES}, index="x"), "index is 'x'"),
    "index null": (config({"worker": ADDRESSES}, index=None), "index is None"),
    "an address twice": (
        config({"worker": ["a:1", "b:2", "a:1"]}),
        "An address occurs twice",
    ),
    "an address in two jobs": (
        config({"chief": ["a:1"], "worker": ["a:1"]}),
        "An address occurs twice",
    ),
    "two chiefs": (config({"chief": ["a:1", "b:2"]}), "more than one chief"),
    "evaluator": (
        config({"worker": ADDRESSES, "evaluator": ["d:4"]}, "evaluator"),
        'type is "evaluator". Expected "worker" or "chief"',
    ),
    "parameter server": (
        config({"worker": ADDRESSES, "ps": ["d:4"]}, "ps"),
        'type is "ps"',
    ),
    "a string of addresses": (config({"worker": "a:1"}), "not all"),
    "no port": (config({"worker": ["a", "b:2"]}), 'not all "host:port"'),
    "no host": (config({"worker": [":1", "b:2"]}), "not all"),
    "port 0": (config({"worker": ["a:0", "b:2"]}), "not all"),
    "port too large": (config({"worker": ["a:65536", "b:2"]}), "not all"),
    "a number for an address": (config({"worker": [1, 2]}), "not all"),
    "a job that is not there": (
        config({"worker": ADDRESSES}, "chief"),
        "there are 0",
    ),
}


@pytest.mark.parametrize(("value", "said"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_said(tf_config, value, said):
    tf_config(value)
    with pytest.raises(ValueError, match="TF_CONFIG is not right") as error:
        read_tf_config()
    assert said in str(error.value)
    assert 'Expected, for worker 0 of two: {"cluster"' in str(error.value)


def resolver(jobs, task_type="worker", task_id=0):
    """A resolver's three attributes, without TensorFlow."""
    spec = types.SimpleNamespace(as_dict=lambda: jobs)
    return types.SimpleNamespace(
        cluster_spec=lambda: spec, task_type=task_type, task_id=task_id
    )


def test_resolver():
    jobs = {"worker": ADDRESSES}
    assert resolve_cluster(resolver(jobs, task_id=2)) == Cluster(
        tuple(ADDRESSES), 2
    )
    assert resolve_cluster(resolver({})) is None
    with pytest.raises(ValueError, match=r"`cluster_resolver`.*index is 3"):
        resolve_cluster(resolver(jobs, task_id=3))


@pytest.mark.tensorflow
def test_the_same_as_tensorflow_reads(tf_config):
    import tensorflow as tf

    tf_config(config({"chief": ["a:1"], "worker": ["b:2", "c:3"]}, index=1))
    theirs = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    assert (
        resolve_cluster(theirs)
        == read_tf_config()
        == Cluster(("a:1", "b:2", "c:3"), 2)
    )


def test_jobs_without_the_task():
    with pytest.raises(ValueError, match='0 tasks of type "worker"'):
        make_cluster({"chief": ["a:1"]}, "worker", 0)


@pytest.mark.tensorflow
@pytest.mark.timeout(600)  # a whole cluster is run
@pytest.mark.parametrize(
    "cluster",
    [
        clusters.two_workers,
        pytest.param(clusters.three_workers, marks=pytest.mark.slow),
        pytest.param(
            clusters.two_workers_with_two_devices, marks=pytest.mark.slow
        ),
    ],
)
def test_all_workers_have_the_chief_s(cluster):
    from tests.checks.cluster_data import LARGE, STRANGE

    for result in cluster():
        strange, text, number, empty, truth, large = result["broadcast"]
        assert strange.dtype == "float32"
        np.testing.assert_array_equal(strange.view("uint32"), STRANGE)
        assert text == "the chief's: é"
        assert number == 2**62 + 1
        assert empty.shape == (0, 3)
        assert empty.dtype == "float16"
        assert truth.tolist() == [[True], [False]]
        np.testing.assert_array_equal(large, np.arange(LARGE) % 251)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.timeout(600)
def test_one_worker_is_the_chief():
    found = [result["chief"] for result in clusters.three_workers()]
    assert found == [[True, True, True], *[[False, False, True]] * 2]


@pytest.mark.parametrize("strategy", [None, object()])
def test_one_process_has_its_own(strategy):
    assert is_chief(strategy)
    numbers, text = broadcast_from_chief(strategy, [np.arange(3), "x"])
    assert numbers.tolist() == [0, 1, 2]
    assert text == "x"


class OtherStrategy:
    """What a strategy for TPUs, or for parameter servers, has."""

    def __init__(self, jobs, task_type):
        import tensorflow as tf

        resolvers = tf.distribute.cluster_resolver
        self.cluster_resolver = resolvers.SimpleClusterResolver(
            tf.train.ClusterSpec(jobs), task_type=task_type, task_id=0
        )


@pytest.mark.tensorflow
@pytest.mark.parametrize("task_type", ["", None, "coordinator", "chief"])
def test_one_process_with_several_hosts_is_the_chief(task_type):
    strategy = OtherStrategy(
        {"worker": ["a:1", "b:1"], "chief": ["c:1"]}, task_type
    )
    assert is_chief(strategy)
    [numbers] = broadcast_from_chief(strategy, [np.arange(3)])
    assert numbers.tolist() == [0, 1, 2]


@pytest.mark.tensorflow
def test_a_strategy_of_several_workers_for_one(monkeypatch):
    import tensorflow as tf

    monkeypatch.delenv("TF_CONFIG", raising=False)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    assert is_chief(strategy)
    assert broadcast_from_chief(strategy, ["x"]) == ["x"]
