"""`model.fit` of Keras 3 on several machines."""

import contextlib
import faulthandler
import logging
import numbers
import random
import secrets
import weakref

import keras
import numpy as np

from keras_lbreg._version import __version__
from keras_lbreg.distribute import cluster as clusters
from keras_lbreg.distribute import rendezvous
from keras_lbreg.distribute.broadcast_from_chief import broadcast_from_chief
from keras_lbreg.distribute.data_sharding import (
    check_policy,
    check_same_data,
    states_of_python,
    warn_of_generator,
    warn_of_unequal_parts,
    with_policy,
)

logger = logging.getLogger("keras_lbreg")

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    from keras_lbreg.distribute import (
        coordination_hooks,
        keras_trainer_hooks,
    )
    from keras_lbreg.distribute.watch_steps import watch_steps

    Base = tf.distribute.MultiWorkerMirroredStrategy
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
    replicas in all, each trains with `batch_size / R` samples. Which samples a
    worker reads, `auto_shard_policy` says. Keras takes the mean of the
    replicas' means: where their parts differ in size, as of a ragged last
    batch, samples are not weighted equally. It warns if R does not divide a
    known batch size.

    A worker that does not start within `start_timeout` seconds, and one that
    dies, end in an error on the others. TensorFlow cannot take a worker back:
    start all of them again, with a `MultiWorkerBackup` among the callbacks. A
    worker that is alive but stuck is waited for no longer than `step_timeout`.

    Where `fit` shuffles, or a dataset does, all workers have to shuffle alike:
    call `keras.utils.set_random_seed` with one number on all of them. Without
    any seed, they take one from the chief. It warns if random generators are
    found apart.

    `steps_per_execution` has to be 1: TensorFlow cannot place the communication
    of workers inside of a loop on the device. Nor can it compile it for CPUs:
    `jit_compile=True` is refused there.

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
        start_timeout: Seconds to wait for all workers to start. Defaults to
            `600`.
        heartbeat_timeout: Seconds without a sign of life after which a worker
            counts as dead. Defaults to `10`.
        step_timeout: Seconds that a step may take, or anything else that
            TensorFlow does in one call. Then the worker waits for the others no
            longer, and ends in a `tf.errors.DeadlineExceededError`: one of them
            hangs, or does something alone. A warning comes before. The first
            step, which compiles, and what the chief does alone have to be
            shorter. None is no limit. Defaults to `1800`.

    Raises:
        RuntimeError: If the Keras backend is not TensorFlow; if TensorFlow was
            used before in this process; if workers do not start in time.
        OSError: If another process listens on this worker's port.
        ValueError: If `TF_CONFIG` or an argument makes no sense; from `fit`:
            if the workers' datasets have different numbers of batches.

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
        step_timeout=1800,
    ):
        backend = keras.backend.backend()
        if backend != "tensorflow":
            raise RuntimeError(
                "`MultiWorkerMirroredStrategy` is a part of `tf.distribute` "
                "and needs the TensorFlow backend; under JAX use "
                "`keras.distribution`. Received: backend=" + backend
            )
        check_policy(auto_shard_policy)
        _check_seconds("start_timeout", start_timeout)
        _check_seconds("heartbeat_timeout", heartbeat_timeout)
        if step_timeout is not None:
            _check_seconds("step_timeout", step_timeout)
        self.auto_shard_policy = auto_shard_policy
        self._has_read_data = False
        self.cluster = (
            clusters.read_tf_config()
            if cluster_resolver is None
            else clusters.resolve_cluster(cluster_resolver)
        )
        arguments = (cluster_resolver, communication_options)
        if self.cluster is None or self.cluster.size == 1:
            super().__init__(*arguments)
            return
        resolver = (
            cluster_resolver
            or tf.distribute.cluster_resolver.TFConfigClusterResolver()
        )
        coordination_hooks.configure_coordination(
            resolver.cluster_spec(), start_timeout, heartbeat_timeout
        )
        rendezvous.meet(self.cluster, start_timeout, _facts())
        # Nothing can be said later: see `_no_longer_than`.
        logger.warning(
            "All %d workers have come. TensorFlow connects them; if it cannot "
            "within %g s, because one has died, this process ends.",
            self.cluster.size,
            start_timeout,
        )
        with _no_longer_than(start_timeout):
            super().__init__(*arguments)
        if step_timeout is not None:
            end = watch_steps(
                step_timeout,
                f"Worker {self.cluster.index} of {self.cluster.size}",
            )
            # At the latest when Python ends.
            weakref.finalize(self, end)
        self._seed_shuffling()

    @property
    def is_chief(self):
        """Whether this worker is the one that writes files."""
        return self.cluster is None or self.cluster.is_chief

    def reduce(self, reduce_op, value, axis):
        model = keras_trainer_hooks.model_to_build()
        if model is not None:
            _check_model(model, self.extended.worker_devices)
            # Keras is after shapes and types: one replica's are enough.
            return tf.nest.map_structure(
                lambda part: self.experimental_local_results(part)[0], value
            )
        if keras_trainer_hooks.reduces_outputs_of_step():
            # A mean over replicas, as on one machine: the results of a step
            # have no axis of samples.
            axis = None
        return super().reduce(reduce_op, value, axis)

    def experimental_distribute_dataset(self, dataset, options=None):
        warn_of_unequal_parts(dataset, self.num_replicas_in_sync)
        if self.cluster is not None and self.cluster.size > 1:
            if keras_trainer_hooks.reads_python_generator():
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
        return {"TensorFlow's": coordination_hooks.random_state(), **states}

    def _seed_shuffling(self):
        """Lets all workers shuffle alike, where the user has set no seed.

        `fit` shuffles arrays with TensorFlow's generator and a `PyDataset` with
        Python's. Workers with different orders would train with some samples
        twice and with others never.
        """
        [seed] = broadcast_from_chief(self, [secrets.randbelow(2**31)])
        if coordination_hooks.random_state() is None:
            tf.random.set_seed(int(seed))
            random.seed(int(seed))
            np.random.seed(int(seed))


@contextlib.contextmanager
def _no_longer_than(seconds):
    """Ends the process if TensorFlow does not let go of it.

    Only another thread that needs no Python can: a worker that dies between the
    rendezvous and here leaves all others in TensorFlow's own wait.
    """
    # Standard error itself: notebooks replace `sys.stderr`.
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _check_seconds(argument, value):
    if not isinstance(value, numbers.Real) or not 1 <= value < float("inf"):
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected a number of "
            f"seconds, at least 1. Received: {argument}={value!r}"
        )


def _facts():
    """What has to be the same on all workers."""
    return {
        # Without GPUs, TensorFlow uses one CPU device.
        "number of devices": len(tf.config.get_visible_devices("GPU")) or 1,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "keras_lbreg": __version__,
    }


def _check_model(model, devices):
    if model.jit_compile and "CPU" in devices[0]:
        raise ValueError(
            "Invalid value for argument `jit_compile` of `compile`. Expected "
            "False under a strategy of several workers without GPUs, whose "
            "communication TensorFlow cannot compile. Received: "
            f"jit_compile={model.jit_compile}"
        )
    if model.steps_per_execution != 1:
        raise ValueError(
            "Invalid value for argument `steps_per_execution` of `compile`. "
            "Expected 1 under a strategy of several workers, whose "
            "communication TensorFlow cannot place inside of a loop. Received: "
            f"steps_per_execution={model.steps_per_execution}"
        )
