"""Which part of a dataset each worker reads."""

import random
import warnings
import zlib

import numpy as np

from keras_lbreg.distribute.cluster import sum_of_workers


def with_policy(dataset, policy):
    """Gives a dataset the policy, unless it has one of its own."""
    import tensorflow as tf

    # `AUTO`, what a dataset has that says nothing, divides the files of a
    # dataset that reads files: other batches than in one process.
    if _policy_of(dataset) != "AUTO":
        return dataset
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy[policy.upper()]
    )
    return dataset.with_options(options)


def warn_of_generator():
    """Warns of a Python generator in the place of a dataset."""
    warnings.warn(
        "A Python generator cannot be read by several workers alike: `fit` "
        "drops its first batches to learn their shapes, how many is a matter "
        "of chance, and the workers get out of step. Use a "
        "`keras.utils.PyDataset`, or `tf.data.Dataset.from_generator` with a "
        "function that makes the generator anew.",
        stacklevel=3,
    )


def warn_of_unequal_parts(dataset, replicas):
    """Warns if replicas get parts of different sizes of every known batch."""
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) < 2:
        return  # Without labels, as for `predict`, nothing is averaged.
    batch = _batch_size(dataset)
    if batch and batch % replicas:
        warnings.warn(
            f"{replicas} replicas cannot share a batch of {batch} equally. "
            "Keras takes the mean of their means, in which a sample of a "
            "smaller part counts for more: losses, gradients and metrics are "
            "not those of one process. Use a batch size that is a multiple of "
            f"{replicas}."
        )


def _batch_size(dataset):
    """The static batch size, or None."""
    import tensorflow as tf

    parts = tf.nest.flatten(dataset.element_spec)
    shapes = [part.shape for part in parts if hasattr(part, "shape")]
    sizes = {shape[0] if shape.rank else None for shape in shapes}
    if len(sizes) == 1 and None not in sizes:
        return sizes.pop()
    # A batch that may be smaller in the end: what TensorFlow itself asks when
    # it divides the dataset.
    size = tf.raw_ops.ComputeBatchSize(
        input_dataset=tf.data.experimental.to_variant(dataset)
    )
    return max(0, int(size)) or None


def states_of_python():
    """What an order depends on that Python, or NumPy, has shuffled."""
    _, keys, *position = np.random.get_state()
    return {
        "Python's": zlib.crc32(repr(random.getstate()).encode()),
        "NumPy's": zlib.crc32(keys.tobytes() + repr(position).encode()),
    }


def check_same_data(strategy, dataset, random_states):
    """Checks that all workers have datasets of one kind, length and order.

    It communicates: all workers call it together, as they do in `fit`. What one
    of them could find alone is therefore checked here, too: it would leave the
    others waiting. `random_states` are integers or None by their generators.
    """
    policy = _policy_of(dataset)
    kind = f"{policy}: {dataset.element_spec}"
    mine = [int(dataset.cardinality()), zlib.crc32(kind.encode())]
    mine += [-1 if s is None else s for s in random_states.values()]
    of_workers = np.zeros((strategy.cluster.size, len(mine)), "int64")
    of_workers[strategy.cluster.index] = mine
    lengths, kinds, *states = sum_of_workers(strategy, of_workers).T
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
    different = [
        name
        for name, of_all in zip(random_states, states, strict=True)
        if len({*of_all}) > 1
    ]
    if policy == "DATA" and different:
        warnings.warn(
            "The workers' random generators are in different states: "
            f"{', '.join(different)}. If `fit` shuffles with them, or the "
            "dataset does, every worker has another order and takes its part "
            "of other batches: some samples are used twice and others never. "
            "Call `keras.utils.set_random_seed` with the same "
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


def _counts(cardinalities):
    names = {-1: "infinite", -2: "unknown"}
    return ", ".join(str(names.get(int(n), int(n))) for n in cardinalities)
