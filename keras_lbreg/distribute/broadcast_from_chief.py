"""One worker's arrays on all workers."""

import io

import numpy as np

from keras_lbreg.distribute.cluster import resolve_cluster

# Sent in pieces, so that a large model needs little memory beside itself.
PIECE = 2**22


def is_chief(strategy=None):
    """Whether this process is the one that writes files.

    Args:
        strategy: A `tf.distribute.Strategy`, or None.

    Returns:
        Boolean; true where there is one process.

    Example:

    >>> if is_chief(strategy):
    ...     model.save("model.keras")

    Reference:

    - [Multi-worker training with
      Keras](https://www.tensorflow.org/tutorials/distribute/multi_worker_with_keras)
    """
    cluster = _cluster_of(strategy)
    return cluster is None or cluster.is_chief


def broadcast_from_chief(strategy, arrays):
    """Gives all workers the chief's arrays.

    What one worker reads from its disk, such as a checkpoint, has to be the
    same on all of them, and need not be on a disk that they share. All workers
    call it together. Bits are kept: two bytes at a time travel as one exact
    float32, which every kind of device can sum.

    Args:
        strategy: A `tf.distribute.Strategy`, or None.
        arrays: List of NumPy arrays, numbers or strings; of the other workers
            it is ignored and may be None.

    Returns:
        List of NumPy arrays.

    Example:

    >>> [epoch] = broadcast_from_chief(strategy, [read_epoch()])

    Reference: `tf.distribute.Strategy.reduce`.
    """
    cluster = _cluster_of(strategy)
    if cluster is None or cluster.size == 1:
        return [np.asarray(array) for array in arrays]
    content = np.zeros(0, "float32")
    if cluster.is_chief:
        content = _to_numbers(arrays)
    [size] = sum_of_workers(strategy, np.array([len(content)], "int64"))
    pieces = []
    for start in range(0, int(size), PIECE):
        length = min(PIECE, int(size) - start)
        piece = np.zeros(length, "float32")
        if cluster.is_chief:
            piece = content[start : start + length]
        pieces.append(sum_of_workers(strategy, piece))
    return _to_arrays(np.concatenate(pieces))


def _cluster_of(strategy):
    resolver = getattr(strategy, "cluster_resolver", None)
    if resolver is None:
        return None
    import tensorflow as tf

    # Others have resolvers, too, such as a TPU's, which names hosts, not
    # workers: there is one process.
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return None
    return resolve_cluster(resolver)


def sum_of_workers(strategy, array):
    """Adds up one array of each worker, on all of them.

    Args:
        strategy: A `tf.distribute.Strategy`.
        array: NumPy array of numbers, of the same shape on all workers.

    Returns:
        NumPy array.
    """
    import tensorflow as tf

    first = True

    def value(context):
        nonlocal first
        mine = array if first else np.zeros_like(array)
        first = False
        return tf.constant(mine)

    values = strategy.experimental_distribute_values_from_function(value)
    return strategy.reduce("SUM", values, axis=None).numpy()


def _to_numbers(arrays):
    file = io.BytesIO()
    np.savez(file, *arrays)
    content = file.getvalue()
    # A zip file may have anything after its end.
    content += b"\0" * (len(content) % 2)
    return np.frombuffer(content, "uint16").astype("float32")


def _to_arrays(numbers):
    file = io.BytesIO(numbers.astype("uint16").tobytes())
    with np.load(file, allow_pickle=False) as content:
        return [content[f"arr_{i}"] for i in range(len(content.files))]
