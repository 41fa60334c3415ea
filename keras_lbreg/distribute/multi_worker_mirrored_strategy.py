"""`model.fit` of Keras 3 on several machines."""

import contextlib
import json
import logging
import math
import random
import re
import secrets
import signal
import threading

import keras
import numpy as np

from keras_lbreg._version import __version__
from keras_lbreg.checks import check_choice, invalid, is_number
from keras_lbreg.distribute import cluster as clusters
from keras_lbreg.distribute.data_sharding import (
    check_same_data,
    states_of_python,
    warn_of_generator,
    warn_of_unequal_parts,
    with_policy,
)

logger = logging.getLogger("keras_lbreg")

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    from keras_lbreg.distribute import keras_issue_20585, tensorflow_hooks

    Base = keras_issue_20585.StrategyForFit
else:
    # The name can be imported on every backend; only the constructor complains.
    Base = object


class MultiWorkerMirroredStrategy(Base):
    """Synchronous training on several workers, with Keras 3's `fit`.

    The strategy of the same name in `tf.distribute`, under which `fit` and
    `evaluate` of Keras 3 fail ([issue
    20585](https://github.com/keras-team/keras/issues/20585)). Under this one,
    `fit`, `evaluate`, `predict`, callbacks, validation and metrics of any Keras
    model work as on one device. Where the replicas can share every batch
    equally, the results are those of one process that trains with the same
    global batch. Nothing of Keras is altered.

    Every worker runs the same program. Batch sizes in it are *global*: with R
    replicas in all, each trains with `batch_size / R` samples. Keras takes the
    mean of the replicas' means: where their parts differ in size, as of a
    ragged last batch, samples are not weighted equally. It warns if R does not
    divide a known batch size.

    TensorFlow's coordination service watches the workers. One that does not
    start within `start_timeout` seconds, two with the same index, and one that
    dies end in an error on the others. TensorFlow cannot take a worker back:
    start all of them again, with a `MultiWorkerBackup` among the callbacks. A
    worker that is alive but stuck is waited for without a limit.

    All workers have to shuffle alike: call `keras.utils.set_random_seed` with
    one number on all of them. Without any seed, they take one from the chief.
    It warns if random generators are found apart.

    `steps_per_execution` has to be 1, and `jit_compile` false on CPUs:
    TensorFlow cannot do that with the communication of workers.

    Args:
        cluster_resolver: A `tf.distribute.cluster_resolver.ClusterResolver`,
            such as `SlurmClusterResolver()`. Defaults to the environment
            variable `TF_CONFIG`. Without either, or with one worker, it is
            training on the local devices.
        communication_options: A
            `tf.distribute.experimental.CommunicationOptions`, or None. Leave
            its `timeout_seconds` alone: TensorFlow keeps a thread for so long
            for each communication of each step.
        auto_shard_policy: How a `tf.data.Dataset` that does not say it itself
            is divided: `"data"`: every worker reads all of it, and trains on
            its part of each global batch, the same samples as in one process;
            `"file"`: every worker reads its part of the files;
            `"off"`: every worker's own dataset yields batches of the global
            size, and is read whole by this worker alone. Defaults to `"data"`.
            Arrays are always divided as with `"data"`.
        start_timeout: Seconds to wait for all workers to start, at least 1.
            Defaults to `600`.
        heartbeat_timeout: Seconds without a sign of life after which a worker
            counts as dead, at least 1. Defaults to `10`.

    Raises:
        RuntimeError: If the Keras backend is not TensorFlow, or TensorFlow was
            used before in this process.
        TimeoutError: If workers do not start in time.
        OSError: If another process listens on this worker's port.
        ValueError: If `TF_CONFIG` or an argument makes no sense, two workers
            have the same index, or they differ in versions or numbers of
            devices.
        tf.errors.UnavailableError: From whatever communicates, if another
            worker has died.

    Example:

    >>> strategy = MultiWorkerMirroredStrategy()
    >>> with strategy.scope():
    ...     model = make_model()
    ...     model.compile("sgd", loss="mse")
    >>> model.fit(x, y, batch_size=256)

    Reference:

    - `tf.distribute.MultiWorkerMirroredStrategy`
    """

    def __init__(
        self,
        cluster_resolver=None,
        communication_options=None,
        auto_shard_policy="data",
        start_timeout=600,
        heartbeat_timeout=10,
    ):
        backend = keras.backend.backend()
        if backend != "tensorflow":
            raise RuntimeError(
                "`MultiWorkerMirroredStrategy` is a part of `tf.distribute` "
                "and needs the TensorFlow backend; under JAX use "
                "`keras.distribution`. Received: backend=" + backend
            )
        check_choice(
            "auto_shard_policy", auto_shard_policy, ("data", "file", "off")
        )
        _check_seconds("start_timeout", start_timeout)
        _check_seconds("heartbeat_timeout", heartbeat_timeout)
        self.auto_shard_policy = auto_shard_policy
        self._has_read_data = False
        self.cluster = (
            clusters.read_tf_config()
            if cluster_resolver is None
            else clusters.resolve_cluster(cluster_resolver)
        )
        if self.cluster is None or self.cluster.size == 1:
            super().__init__(cluster_resolver, communication_options)
            return
        resolver = (
            cluster_resolver
            or tf.distribute.cluster_resolver.TFConfigClusterResolver()
        )
        tensorflow_hooks.configure_coordination(
            resolver.cluster_spec(), start_timeout, heartbeat_timeout
        )
        cluster = self.cluster
        logger.warning(
            "Worker %d of %d waits up to %g s for the others: %s.",
            *(cluster.index, cluster.size),
            *(start_timeout, ", ".join(cluster.addresses)),
        )
        try:
            with _interruptible():
                super().__init__(cluster_resolver, communication_options)
                _check_alike(cluster, start_timeout)
            self._seed_shuffling()
        except tf.errors.OpError as error:
            raise _explained(
                error, cluster, resolver.cluster_spec(), start_timeout
            ) from error

    @property
    def is_chief(self):
        """Whether this worker is the one that writes files."""
        return self.cluster is None or self.cluster.is_chief

    def experimental_distribute_dataset(self, dataset, options=None):
        warn_of_unequal_parts(dataset, self.num_replicas_in_sync)
        if self.cluster is not None and self.cluster.size > 1:
            if keras_issue_20585.reads_python_generator():
                warn_of_generator()
            dataset = with_policy(dataset, self.auto_shard_policy)
            check_same_data(self, dataset, self._random_states())
        return super().experimental_distribute_dataset(dataset, options)

    def _random_states(self):
        states = dict.fromkeys(states_of_python())
        if not self._has_read_data:
            # Later, threads that prepare data may draw, each at its own pace.
            states = states_of_python()
            self._has_read_data = True
        return {"TensorFlow's": tensorflow_hooks.random_state(), **states}

    def _seed_shuffling(self):
        """Lets all workers shuffle alike, where the user has set no seed."""
        # `fit` shuffles arrays with TensorFlow's generator and a `PyDataset`
        # with Python's.
        [seed] = clusters.broadcast_from_chief(self, [secrets.randbelow(2**31)])
        if tensorflow_hooks.random_state() is None:
            tf.random.set_seed(int(seed))
            random.seed(int(seed))
            np.random.seed(int(seed))


@contextlib.contextmanager
def _interruptible():
    """Lets Ctrl-C end the process while TensorFlow waits with Python's lock."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _check_seconds(argument, value):
    if not (is_number(value) and 1 <= value < math.inf):
        raise invalid(argument, "a number of seconds, at least 1", value)


def _check_alike(cluster, timeout):
    """Raises on all workers if two differ in what has to be the same."""
    facts = {
        # Without GPUs, TensorFlow uses one CPU device.
        "number of devices": len(tf.config.list_physical_devices("GPU")) or 1,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "keras_lbreg": __version__,
        "addresses": list(cluster.addresses),
    }
    texts = tensorflow_hooks.exchange(
        "keras_lbreg", cluster.index, cluster.size, json.dumps(facts), timeout
    )
    chief, *others = map(json.loads, texts)
    for index, theirs in enumerate(others, 1):
        for name, value in chief.items():
            if theirs[name] != value:
                raise ValueError(
                    "The workers do not fit together. Expected the same "
                    "addresses, versions and numbers of devices on all of "
                    f"them. Received: {name} {theirs[name]!r} on worker "
                    f"{index}, {value!r} on worker 0"
                )


def _explained(error, cluster, cluster_spec, timeout):
    """TensorFlow's error of a cluster that does not begin, in our words."""
    text = error.message
    again = "Look at what the others wrote, then start all again."

    def names(pattern, text):
        """The workers that TensorFlow names by their tasks."""
        for job, task in re.findall(pattern, text, re.MULTILINE):
            address = cluster_spec.task_address(job, int(task))
            yield f"worker {cluster.addresses.index(address)} ({address})"

    named = r"/job:(\w+)/replica:\d+/task:(\d+)"
    if "gRPC server" in text:
        return OSError(
            f"Worker {cluster.index} cannot listen at "
            f"{cluster.addresses[cluster.index]}, its own address in the "
            "cluster. A worker of an earlier run is still alive, or two "
            "workers have the same index: stop it, or choose another port on "
            "all workers."
        )
    if "incarnation" in text:
        # The text of a worker that is refused names the chief, which refused.
        refused = names(rf"{named} unexpectedly tried to connect", text)
        twice = next(refused, f"worker {cluster.index}")
        return ValueError(
            f"Two workers are {twice}, or it was started again. Expected one "
            f"process for each index. {again}"
        )
    if isinstance(error, tf.errors.DeadlineExceededError):
        missing = text.partition("timed out task names:")[2]
        missing = sorted(set(names(f"^{named}$", missing)))
        reason = f"worker 0 ({cluster.addresses[0]}) did not answer"
        if missing:
            reason = f"{', '.join(missing)} did not start"
        return TimeoutError(
            f"The cluster is not complete: {reason} within {timeout:g} s. "
            "Expected all workers to be started, each with an index of its "
            f"own, and their ports to be open to one another. {again}"
        )
    return RuntimeError(f"The workers cannot connect: {text} {again}")
