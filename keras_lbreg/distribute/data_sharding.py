"""Which part of a dataset each worker reads."""

import warnings
import zlib

import keras
import numpy as np

from keras_lbreg.distribute.broadcast_from_chief import sum_of_workers

POLICIES = ("data", "file", "off")


def check_policy(policy):
    """Checks the name of a policy.

    Raises:
        ValueError: If there is none of that name.
    """
    if policy not in POLICIES:
        raise ValueError(
            "Invalid value for argument `auto_shard_policy`. Expected one of "
            f"{', '.join(map(repr, POLICIES))}. Received: "
            f"auto_shard_policy={policy!r}"
        )


def with_policy(dataset, policy):
    """Gives a dataset the policy, unless it has one of its own.

    TensorFlow's `AUTO`, what a dataset has that says nothing, divides the files
    of a dataset that reads files: other batches than in one process. It is
    never used.

    Args:
        dataset: `tf.data.Dataset`.
        policy: `"data"`, `"file"` or `"off"`.

    Returns:
        `tf.data.Dataset`.
    """
    import tensorflow as tf

    if _policy_of(dataset) != "AUTO":
        return dataset
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy[policy.upper()]
    )
    return dataset.with_options(options)


def check_same_data(strategy, dataset, random_state):
    """Checks that all workers have datasets of one kind, length and order.

    It communicates: all workers call it together, as they do in `fit`. What one
    of them could find alone is therefore checked here, too: it would leave the
    others waiting.

    Args:
        strategy: `tf.distribute.Strategy` of several workers.
        dataset: This worker's `tf.data.Dataset`.
        random_state: What the order of a shuffled dataset depends on: an
            integer, or None if that is left to chance.

    Raises:
        ValueError: On all workers, if they differ in kind or length, or if
            nobody divides the datasets and they are finite.

    Warns:
        UserWarning: On all workers, if they read the same dataset, each a part
            of every batch, with random generators in different states.
    """
    policy = _policy_of(dataset)
    kind = f"{policy}: {dataset.element_spec}"
    state = -1 if random_state is None else random_state
    mine = [_cardinality(dataset), zlib.crc32(kind.encode()), state]
    of_workers = np.zeros((strategy.cluster.size, len(mine)), "int64")
    of_workers[strategy.cluster.index] = mine
    lengths, kinds, states = sum_of_workers(strategy, of_workers).T
    if len({*kinds}) > 1:
        raise _different(f"policies, types or shapes; this one's are {kind}")
    if policy == "OFF" and max(lengths) >= 0:
        raise ValueError(
            "With `AutoShardPolicy.OFF` every worker reads the whole of its "
            "own dataset, in more steps than it has batches, since each batch "
            "is divided over all replicas: Keras would end every epoch early. "
            "Expected a dataset without end, `dataset.repeat()`, and "
            "`fit(..., steps_per_epoch=...)`; or another policy. Received: "
            f"datasets with these numbers of batches: {_counts(lengths)}"
        )
    if len({*lengths}) > 1:
        raise _different(f"numbers of batches: {_counts(lengths)}")
    if policy == "DATA" and len({*states}) > 1:
        warnings.warn(
            "The workers' random generators are in different states. If `fit` "
            "shuffles, or the dataset does, every worker has another order and "
            "takes its part of other batches: some samples are used twice and "
            "others never. Call `keras.utils.set_random_seed` with the same "
            "number on all workers before the dataset is made."
        )


def _different(what):
    return ValueError(
        f"The workers' datasets have different {what}. Expected the same on "
        "all workers, or one would wait for the others: make the dataset of "
        "all the data everywhere and let the strategy divide it; or "
        "`.repeat()` it and give `steps_per_epoch`; or hide its length, "
        "`dataset.filter(lambda *sample: True)`: an epoch then lasts until the "
        "last worker runs out of data."
    )


def _policy_of(dataset):
    options = dataset.options()
    return options.experimental_distribute.auto_shard_policy.name


def _cardinality(dataset):
    return int(keras.ops.convert_to_numpy(dataset.cardinality()))


def _counts(cardinalities):
    names = {-1: "infinite", -2: "unknown"}
    return ", ".join(str(names.get(int(n), int(n))) for n in cardinalities)
