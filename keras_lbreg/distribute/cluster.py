"""The workers of a cluster: who they are, and the chief's arrays on all."""

import dataclasses
import io
import json
import os

import numpy as np

# The kinds of tasks that train; an evaluator is not one of them.
TRAINING_TASKS = ("chief", "worker")
# Arrays are sent in pieces, so that a large model needs little memory more.
PIECE = 2**22


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The training tasks of a cluster, the chief first, and our own."""

    addresses: tuple  # of "host:port"
    index: int  # this process's position among them

    @property
    def is_chief(self):
        """Whether this is the process that writes files."""
        return self.index == 0

    @property
    def size(self):
        return len(self.addresses)


def read_tf_config():
    """The `Cluster` that `TF_CONFIG` in the environment names, or None."""
    text = os.environ.get("TF_CONFIG", "").strip()
    try:
        return _cluster_of_json(text) if text else None
    except ValueError as error:
        raise ValueError(
            f"The environment variable TF_CONFIG is not right. {error} "
            'Expected, for worker 0 of two: {"cluster": {"worker": '
            '["host0:2222", "host1:2222"]}, "task": {"type": "worker", '
            f'"index": 0}}}}. Received: {text}'
        ) from error


def _cluster_of_json(text):
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"It is no JSON: {error}.") from error
    if not isinstance(config, dict):
        raise ValueError("It is no JSON object.")
    if not config.get("cluster"):
        return None
    jobs, task = config["cluster"], config.get("task")
    if not isinstance(jobs, dict):
        raise ValueError('Its "cluster" is no JSON object.')
    if not isinstance(task, dict) or not {"type", "index"} <= set(task):
        raise ValueError('It has no "task" with "type" and "index".')
    return make_cluster(jobs, task["type"], task["index"])


def make_cluster(jobs, task_type, task_index):
    """The `Cluster` of job names, each with its addresses, and our own task."""
    for name, addresses in jobs.items():
        if not isinstance(addresses, (list, tuple)) or not all(
            _is_address(address) for address in addresses
        ):
            raise ValueError(
                f'The addresses of "{name}" are not all "host:port": '
                f"{addresses}."
            )
    addresses = [a for name in TRAINING_TASKS for a in jobs.get(name, ())]
    if len(jobs.get("chief", ())) > 1:
        raise ValueError("There is more than one chief.")
    if len(set(addresses)) < len(addresses):
        raise ValueError(f"An address occurs twice: {addresses}.")
    if task_type not in TRAINING_TASKS:
        raise ValueError(
            f'The task\'s type is "{task_type}". Expected "worker" or "chief".'
        )
    members = jobs.get(task_type, ())
    try:
        index = int(task_index)
    except (TypeError, ValueError):
        index = -1
    if not 0 <= index < len(members):
        raise ValueError(
            f"The task's index is {task_index!r}, and there are {len(members)} "
            f'tasks of type "{task_type}". Expected an index from 0 to '
            f"{len(members) - 1}."
        )
    return Cluster(tuple(addresses), addresses.index(members[index]))


def resolve_cluster(resolver):
    """The `Cluster` that a `ClusterResolver` of TensorFlow names, or None."""
    jobs = resolver.cluster_spec().as_dict()
    if not jobs:
        return None
    try:
        return make_cluster(jobs, resolver.task_type, resolver.task_id)
    except ValueError as error:
        raise ValueError(
            "Invalid value for argument `cluster_resolver`. "
            f"{error} Received: cluster_resolver={resolver}"
        ) from error


def _is_address(address):
    if not isinstance(address, str):
        return False
    host, _, port = address.rpartition(":")
    return bool(host) and port.isdigit() and 0 < int(port) < 65536


def is_chief(strategy=None):
    """Whether this process is the one that writes files.

    Args:
        strategy: A `tf.distribute.Strategy`, or None.

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

    What one worker reads from its disk need not be on a disk that they share.
    All workers call it together. Bits are kept: two bytes at a time travel as
    one exact float32, which every kind of device can sum.

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
        file = io.BytesIO()
        np.savez(file, *arrays)
        content = file.getvalue()
        # A zip file may have anything after its end.
        content += b"\0" * (len(content) % 2)
        content = np.frombuffer(content, "uint16").astype("float32")
    [size] = sum_of_workers(strategy, np.array([len(content)], "int64"))
    if not cluster.is_chief:
        content = np.zeros(int(size), "float32")
    pieces = [
        sum_of_workers(strategy, content[start : start + PIECE])
        for start in range(0, int(size), PIECE)
    ]
    numbers = np.concatenate(pieces).astype("uint16")
    with np.load(io.BytesIO(numbers.tobytes()), allow_pickle=False) as content:
        return [content[f"arr_{i}"] for i in range(len(content.files))]


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
    """The sum of one array of each worker, all of one shape, on all of them."""
    import tensorflow as tf

    first = True

    def value(context):
        nonlocal first
        mine = array if first else np.zeros_like(array)
        first = False
        return tf.constant(mine)

    values = strategy.experimental_distribute_values_from_function(value)
    return strategy.reduce("SUM", values, axis=None).numpy()
