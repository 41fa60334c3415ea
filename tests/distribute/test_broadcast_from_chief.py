import numpy as np
import pytest

from keras_lbreg.distribute import broadcast_from_chief, is_chief
from tests.checks import clusters

# A whole cluster is run within the first test.
pytestmark = pytest.mark.timeout(600)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "cluster",
    [
        clusters.two_workers,
        clusters.three_workers,
        clusters.two_workers_with_two_devices,
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


@pytest.mark.tensorflow
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
