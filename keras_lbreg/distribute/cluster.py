"""Who the workers of a cluster are, as a resolver or `TF_CONFIG` tells."""

import dataclasses
import json
import os

# The kinds of tasks that train; an evaluator is not one of them.
TRAINING_TASKS = ("chief", "worker")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The training tasks of a cluster, the chief first, and which one we are.

    Args:
        addresses: Tuple of `"host:port"`.
        index: Position of this process in `addresses`.

    Example:

    >>> cluster = Cluster(("10.0.0.1:2222", "10.0.0.2:2222"), 1)
    >>> cluster.is_chief
    False

    Reference:

    - [TF_CONFIG](https://www.tensorflow.org/guide/distributed_training)
    """

    addresses: tuple
    index: int

    @property
    def is_chief(self):
        """Whether this is the process that writes files."""
        return self.index == 0

    @property
    def size(self):
        return len(self.addresses)

    def others(self):
        """Pairs of index and address of all workers but this one."""
        return [
            (index, address)
            for index, address in enumerate(self.addresses)
            if index != self.index
        ]


def read_tf_config():
    """Reads the environment variable `TF_CONFIG` and checks it.

    Returns:
        A `Cluster`, or None if there is no `TF_CONFIG` or it names no cluster.

    Raises:
        ValueError: If it is no JSON, or describes no cluster that this process
            could be a part of.

    Example:

    >>> read_tf_config()

    Reference: `tf.distribute.cluster_resolver.TFConfigClusterResolver`.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise _bad(f"It is no JSON: {error}.", text) from error
    if not isinstance(config, dict):
        raise _bad("It is no JSON object.", text)
    if not config.get("cluster"):
        return None
    jobs, task = config["cluster"], config.get("task")
    if not isinstance(jobs, dict):
        raise _bad('Its "cluster" is no JSON object.', text)
    if not isinstance(task, dict) or not {"type", "index"} <= set(task):
        raise _bad('It has no "task" with "type" and "index".', text)
    try:
        return make_cluster(jobs, task["type"], task["index"])
    except ValueError as error:
        raise _bad(str(error), text) from error


def make_cluster(jobs, task_type, task_index):
    """Makes a `Cluster` of job names and addresses.

    Args:
        jobs: Dictionary of job names, each with its list of addresses.
        task_type: Name of this process's job.
        task_index: Its index there.

    Returns:
        A `Cluster`.

    Raises:
        ValueError: If they do not fit together.
    """
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
    """Makes the `Cluster` that a resolver describes.

    Args:
        resolver: A `tf.distribute.cluster_resolver.ClusterResolver`.

    Returns:
        A `Cluster`, or None if it describes none.

    Raises:
        ValueError: If it does not fit together.
    """
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


def _bad(reason, text):
    return ValueError(
        f"The environment variable TF_CONFIG is not right. {reason} Expected, "
        'for worker 0 of two: {"cluster": {"worker": ["host0:2222", '
        '"host1:2222"]}, "task": {"type": "worker", "index": 0}}. '
        f"Received: {text}"
    )
