"""Which part of a dataset each worker reads."""

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


def check_same_data(strategy, dataset):
    """Checks that all workers have datasets of one kind and length.

    It communicates: all workers call it together, as they do in `fit`.

    Args:
        strategy: `tf.distribute.Strategy` of several workers.
        dataset: This worker's `tf.data.Dataset`.

    Raises:
        ValueError: On all workers, if they differ.
    """
    import tensorflow as tf

    kind = zlib.crc32(repr(dataset.element_spec).encode())
    mine = tf.constant([[_cardinality(dataset), kind]], "int64")
    of_replicas = strategy.gather(
        strategy.experimental_distribute_values_from_function(lambda _: mine),
        axis=0,
    ).numpy()
    lengths, kinds = of_replicas[:: len(of_replicas) // strategy.cluster.size].T
    if len({*lengths}) == len({*kinds}) == 1:
        return
    what = f"numbers of batches: {[_count(n) for n in lengths]}"
    if len({*kinds}) > 1:
        what = f"types or shapes; this one's are {dataset.element_spec}"
    raise ValueError(
        "The workers' datasets have different " + what + ". Expected the same "
        "on all workers, or one would wait for the others: make the dataset of "
        "all the data everywhere and let the strategy divide it; or "
        "`.repeat()` it and give `steps_per_epoch`; or hide its length, "
        "`dataset.apply(tf.data.experimental.assert_cardinality("
        "tf.data.UNKNOWN_CARDINALITY))`: an epoch then lasts until the last "
        "worker runs out of data."
    )


def _cardinality(dataset):
    return int(keras.ops.convert_to_numpy(dataset.cardinality()))


def _count(cardinality):
    return {-1: "infinite", -2: "unknown"}.get(
        int(cardinality), int(cardinality)
    )
