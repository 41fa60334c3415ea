"""Which part of a dataset each worker reads."""

import warnings
import zlib

import keras

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

    Raises:
        ValueError: If nobody divides the dataset and it is finite.
    """
    import tensorflow as tf

    policies = tf.data.experimental.AutoShardPolicy
    options = dataset.options()
    own = options.experimental_distribute.auto_shard_policy
    if own == policies.AUTO:
        own = policies[policy.upper()]
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = own
        dataset = dataset.with_options(options)
    if own == policies.OFF and _cardinality(dataset) >= 0:
        raise ValueError(
            "With `AutoShardPolicy.OFF` every worker reads the whole of its "
            "own dataset, in more steps than it has batches, since each batch "
            "is divided over all replicas: Keras would end every epoch early. "
            "Expected a dataset without end, `dataset.repeat()`, and "
            "`fit(..., steps_per_epoch=...)`; or another policy. Received: a "
            f"dataset of {_cardinality(dataset)} batches"
        )
    return dataset


def check_same_data(strategy, dataset, random_state):
    """Checks that all workers have datasets of one kind, length and order.

    It communicates: all workers call it together, as they do in `fit`.

    Args:
        strategy: `tf.distribute.Strategy` of several workers.
        dataset: This worker's `tf.data.Dataset`.
        random_state: What the order of a shuffled dataset depends on: an
            integer, or None if that is left to chance.

    Raises:
        ValueError: On all workers, if they differ in kind or length.

    Warns:
        UserWarning: On all workers, if they read the same dataset, each a part
            of every batch, with random generators in different states.
    """
    import tensorflow as tf

    kind = zlib.crc32(repr(dataset.element_spec).encode())
    state = -1 if random_state is None else random_state
    mine = tf.constant([[_cardinality(dataset), kind, state]], "int64")
    of_replicas = strategy.gather(
        strategy.experimental_distribute_values_from_function(lambda _: mine),
        axis=0,
    ).numpy()
    lengths, kinds, states = of_replicas.T
    if len({*lengths}) == len({*kinds}) == 1:
        policy = dataset.options().experimental_distribute.auto_shard_policy
        if (
            policy == tf.data.experimental.AutoShardPolicy.DATA
            and len({*states}) > 1
        ):
            warnings.warn(
                "The workers' random generators are in different states. If "
                "`fit` shuffles, or the dataset does, every worker has another "
                "order and takes its part of other batches: some samples are "
                "used twice and others never. Call "
                "`keras.utils.set_random_seed` with the same number on all "
                "workers before the dataset is made."
            )
        return
    lengths = lengths[:: len(of_replicas) // strategy.cluster.size]
    what = f"numbers of batches: {[_count(n) for n in lengths]}"
    if len({*kinds}) > 1:
        what = f"types or shapes; this one's are {dataset.element_spec}"
    raise ValueError(
        "The workers' datasets have different " + what + ". Expected the same "
        "on all workers, or one would wait for the others: make the dataset of "
        "all the data everywhere and let the strategy divide it; or "
        "`.repeat()` it and give `steps_per_epoch`; or hide its length, "
        "`dataset.filter(lambda *sample: True)`: an epoch then lasts until the "
        "last worker runs out of data."
    )


def _cardinality(dataset):
    return int(keras.ops.convert_to_numpy(dataset.cardinality()))


def _count(cardinality):
    return {-1: "infinite", -2: "unknown"}.get(
        int(cardinality), int(cardinality)
    )
