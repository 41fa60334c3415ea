"""Which samples each worker reads."""

import random

import keras
import numpy as np
import pytest

from keras_lbreg.distribute.data_sharding import (
    states_of_python,
    warn_of_unequal_parts,
    with_policy,
)
from tests.checks.cluster import Failure
from tests.checks.clusters import (
    three_workers,
    two_workers,
    two_workers_with_two_devices,
)

# A whole cluster is run within the first test.
pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(600)]


def of_workers(name, cluster=two_workers):
    results = [result[name] for result in cluster()]
    for result in results:
        assert not isinstance(result, Failure), result
    return results


def flat(*batches_of_workers):
    return [i for batches in batches_of_workers for b in batches for i in b]


def test_each_worker_takes_its_part_of_every_batch():
    assert of_workers("by_default") == [
        [[0, 1, 2, 3], [8, 9, 10, 11], [16, 17]],
        [[4, 5, 6, 7], [12, 13, 14, 15], [18, 19]],
    ]


@pytest.mark.slow
def test_a_batch_that_three_workers_do_not_divide():
    one, two, three = of_workers("by_default", three_workers)
    assert [len(batch) for batch in one] == [3, 3, 2]
    assert sorted(flat(one, two, three)) == list(range(20))
    assert one[0] + two[0] + three[0] == list(range(8))


@pytest.mark.slow
def test_devices_of_a_worker_take_turns_with_those_of_others():
    first_devices = of_workers("by_default", two_workers_with_two_devices)
    assert first_devices == [[[0, 1], [8, 9], [16]], [[2, 3], [10, 11], [17]]]


def test_workers_without_a_seed_shuffle_alike():
    one, two = of_workers("unseeded_shuffle")
    assert sorted(flat(one, two)) == list(range(20))
    # Of 10 numbers, not of 5 batches, which may be in order by chance.
    assert flat(one) != sorted(flat(one))


def test_files():
    one, two = of_workers("by_files")
    assert sorted(flat(one["FILE"])) == [0, 1, 2, 3, 20, 21, 22, 23]
    assert sorted(flat(two["FILE"])) == [10, 11, 12, 13, 30, 31, 32, 33]


def test_datasets_of_files_are_divided_by_batch_unless_told_otherwise():
    one, two = of_workers("by_files")
    assert one["AUTO"] == one["DATA"] == [[0, 1], [10, 11], [20, 21], [30, 31]]
    assert two["AUTO"] == two["DATA"] == [[2, 3], [12, 13], [22, 23], [32, 33]]


def test_off_reads_a_worker_s_own_dataset():
    one, two = of_workers("off_and_endless")
    assert one == [[0, 1], [2, 3], [0, 1]]
    assert two == [[100, 101], [102, 103], [100, 101]]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("off_and_finite", "numbers of batches: 5, 5"),
        ("off_and_finite_on_one", "numbers of batches: 5, infinite"),
        ("different_policies", "policies, types or shapes"),
        ("different_lengths", "different numbers of batches: 5, 3"),
        ("different_kinds", "different policies, types or shapes"),
    ],
)
def test_what_could_not_work_is_refused_on_all_workers(name, said):
    for result in two_workers():
        assert isinstance(result[name], Failure)
        assert result[name].startswith("ValueError")
        assert said in result[name]


def test_different_seeds_are_noticed_where_they_matter():
    for [message] in of_workers("different_seeds"):
        assert "are in different states: TensorFlow's. If" in message
        assert "`keras.utils.set_random_seed`" in message


def test_other_generators_are_compared_too():
    for seen in of_workers("different_states_of_python"):
        for name, [message] in seen.items():
            assert f"are in different states: {name}. If `fit`" in message


def test_every_draw_changes_a_state():
    keras.utils.set_random_seed(0)
    states = states_of_python()
    assert states_of_python() == states
    random.random()
    assert states_of_python()["Python's"] != states["Python's"]
    assert states_of_python()["NumPy's"] == states["NumPy's"]
    np.random.rand()
    assert states_of_python()["NumPy's"] != states["NumPy's"]
    keras.utils.set_random_seed(0)
    assert states_of_python() == states


@pytest.fixture(scope="module")
def labelled():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((np.ones((20, 3)), np.ones(20)))


@pytest.mark.parametrize("drop_remainder", [False, True])
def test_a_batch_that_replicas_cannot_share_is_noticed(
    labelled, drop_remainder
):
    dataset = labelled.batch(6, drop_remainder).repeat().prefetch(1)
    with pytest.warns(
        UserWarning, match="4 replicas cannot share a batch of 6"
    ):
        warn_of_unequal_parts(dataset, 4)
    # Nothing is said: warnings are errors here.
    warn_of_unequal_parts(dataset, 3)
    warn_of_unequal_parts(dataset.map(lambda x, y: x), 4)
    warn_of_unequal_parts(dataset.map(lambda x, y: (x,)), 4)


def test_a_batch_size_that_is_not_known_may_be_right(labelled):
    warn_of_unequal_parts(labelled, 4)


@pytest.mark.parametrize("name", ["unequal", "nothing_on_worker_1"])
def test_an_epoch_lasts_until_the_last_worker_has_no_data(name):
    one, two = of_workers(name)
    # 12 samples of batches of 4, halved for two replicas. Keras looks into the
    # data before the first epoch.
    assert one["updates"] == two["updates"]
    assert one["updates"] >= 12
    assert one["logs"] == two["logs"]
    for ours, theirs in zip(one["weights"], two["weights"], strict=True):
        assert (ours == theirs).all()
        assert not keras.ops.any(keras.ops.isnan(ours))


@pytest.fixture(scope="module")
def numbers():
    import tensorflow as tf

    return tf.data.Dataset.range(8).batch(2)


def policy_of(dataset):
    return dataset.options().experimental_distribute.auto_shard_policy.name


@pytest.mark.parametrize("policy", ["data", "file", "off"])
def test_a_dataset_that_says_nothing_gets_the_policy(numbers, policy):
    assert policy_of(with_policy(numbers, policy)) == policy.upper()
    assert policy_of(numbers) == "AUTO"


def test_a_dataset_s_own_policy_stays(numbers):
    theirs = with_policy(numbers, "file")
    assert policy_of(with_policy(theirs, "data")) == "FILE"


def test_other_options_stay(numbers):
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = False
    dataset = with_policy(numbers.with_options(options), "data")
    assert dataset.options().deterministic is False
