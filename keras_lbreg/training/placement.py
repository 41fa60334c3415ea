"""Where a run computes: one device, several, or several machines."""

import contextlib
import dataclasses
import functools
import json

import numpy as np

from keras_lbreg.checks import check_positive_int

STRATEGIES = ("auto", "one", "mirrored", "multi-worker", "jax-data-parallel")

# Which backend has which.
BACKENDS = {
    "mirrored": "tensorflow",
    "multi-worker": "tensorflow",
    "jax-data-parallel": "jax",
}

# What the other workers raise where the chief has raised it, or a kind of it:
# a mistake of the user's is one on all workers.
REPEATED = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    OSError,
    ImportError,
    TypeError,
    ValueError,
    RuntimeError,
)


@dataclasses.dataclass(frozen=True)
class Placement:
    """The devices that share every batch of a run.

    Args:
        strategy: One of `STRATEGIES` but `"auto"`.
        devices: Number of devices that share a batch, in all processes.
        why: Why it was chosen, in words.
        handle: The `tf.distribute.Strategy` or the
            `keras.distribution.DataParallel`; `None` for one device.
        workers: Number of processes that train together.
        worker: This process among them, from 0.
    """

    strategy: str = "one"
    devices: int = 1
    why: str = "the default"
    handle: object = dataclasses.field(default=None, repr=False, compare=False)
    workers: int = 1
    worker: int = 0

    @property
    def replicas(self):
        """Copies of the model with a part of the batch each.

        JAX has one, however many devices compute it.
        """
        return 1 if self.strategy == "jax-data-parallel" else self.devices

    @property
    def local_replicas(self):
        """The indices of this process's replicas among all of them."""
        count = self.replicas // self.workers
        return range(self.worker * count, (self.worker + 1) * count)

    @property
    def is_chief(self):
        """Whether this process reads and writes the results."""
        return self.worker == 0

    def scope(self):
        """The context in which models are made and trained."""
        if self.handle is None:
            return contextlib.nullcontext()
        return self.handle.scope()

    def distribute(self, make_dataset):
        """What `fit` reads: to each replica batches of its own."""
        if self.handle is None:
            return make_dataset()
        return self.handle.distribute_datasets_from_function(
            lambda context: make_dataset()
        )

    def on_chief(self, function):
        """What `function` returns, or raises, on the chief; on all workers.

        Whatever depends on files goes through here, so that all workers decide
        alike without a common file system. The result is plain data.
        """
        if self.workers == 1:
            return function()
        from keras_lbreg.distribute import broadcast_from_chief

        error, message = None, None
        if self.is_chief:
            try:
                message = {"result": function()}
            except Exception as raised:
                error = raised
                message = {"error": [kind_of(raised), f"{raised}"]}
            message = [np.frombuffer(json.dumps(message).encode(), "uint8")]
        [message] = broadcast_from_chief(self.handle, message)
        message = json.loads(np.asarray(message).tobytes())
        if error is not None:
            raise error
        if "error" in message:
            name, text = message["error"]
            kind = {kind.__name__: kind for kind in REPEATED}[name]
            raise kind(f"The chief, worker 0, cannot go on. {text}")
        return message["result"]

    def describe(self):
        """The placement in one line."""
        shape = "one device" if self.devices == 1 else f"{self.devices} devices"
        if self.workers > 1:
            shape += f" of {self.workers} workers"
        return f"Strategy: {self.strategy}, {shape} ({self.why})"


ONE_DEVICE = Placement()


def kind_of(error):
    """The name of the first class in `REPEATED` that `error` belongs to."""
    kinds = (kind for kind in REPEATED if isinstance(error, kind))
    return next(kinds, RuntimeError).__name__


def choose_strategy(strategy="auto", devices=None):
    """The `Placement` of this process.

    TensorFlow allows one default `MirroredStrategy` and one
    `MultiWorkerMirroredStrategy` in a process: they are made once and kept.
    `"auto"` takes `"multi-worker"` if `TF_CONFIG` names several workers, then
    `"mirrored"` or `"jax-data-parallel"` if there are several GPUs or virtual
    devices, else `"one"`.

    Args:
        strategy: One of `STRATEGIES`.
        devices: Number of this machine's devices to use, the first ones.
            Defaults to all GPUs, or all (virtual) processors where there is no
            GPU. Each worker of `"multi-worker"` uses all it sees.

    Raises:
        ValueError: The strategy cannot be had here, or `TF_CONFIG` names
            several workers, and each of them would train alone.
    """
    import keras

    backend = keras.backend.backend()
    if strategy not in STRATEGIES:
        raise ValueError(
            "Invalid value for argument `strategy`. Expected one of "
            f"{', '.join(STRATEGIES)}. Received: strategy={strategy!r}"
        )
    if devices is not None:
        check_positive_int("devices", devices)
    needed = BACKENDS.get(strategy, backend)
    if backend != needed:
        raise ValueError(
            "Invalid value for argument `strategy`. Expected one that the "
            f"backend {backend} has; {strategy!r} needs {needed}. Received: "
            f"strategy={strategy!r}"
        )
    check_cluster(strategy, backend)
    why = "as asked for"
    if strategy == "auto":
        strategy, why = automatic(backend, devices)
    return dataclasses.replace(make(strategy, backend, devices), why=why)


@functools.cache
def make(strategy, backend, devices):
    """The placement without the reason for it; once in a process."""
    if strategy == "multi-worker":
        return multi_worker(devices)
    if strategy == "one":
        if devices not in (None, 1):
            raise ValueError(
                "Invalid value for argument `devices`. Expected 1 or none with "
                f"strategy 'one'. Received: devices={devices}"
            )
        return ONE_DEVICE
    chosen = first_devices(strategy, backend, devices)
    handle = make_handle(strategy, chosen)
    return Placement(strategy, len(chosen), handle=handle)


def automatic(backend, devices):
    """The strategy that suits this process, and why."""
    from keras_lbreg.distribute.cluster import read_tf_config

    cluster = read_tf_config()
    if cluster is not None and cluster.size > 1:
        return "multi-worker", f"TF_CONFIG names {cluster.size} workers"
    there = all_devices(backend)
    if devices == 1:
        return "one", "one device was asked for"
    if len(there) == 1 and devices is None:
        return "one", f"the only device is {there[0]}"
    several = {"tensorflow": "mirrored", "jax": "jax-data-parallel"}
    if backend not in several:
        return "one", f"no strategy is known for the backend {backend}"
    return several[backend], f"this process has {len(there)} devices"


def check_cluster(strategy, backend):
    """Raise if the workers of a cluster would each train alone."""
    from keras_lbreg.distribute.cluster import read_tf_config

    if strategy == "multi-worker":
        return
    cluster = read_tf_config()
    if cluster is None or cluster.size == 1:
        return
    if strategy == "auto" and backend == "tensorflow":
        return
    raise ValueError(
        "Invalid value for argument `strategy`. Expected 'multi-worker', on "
        f"the backend tensorflow, since TF_CONFIG names {cluster.size} "
        "workers, each of which would train the same alone; or no TF_CONFIG. "
        "Received: "
        f"strategy={strategy!r}"
    )


def all_devices(backend):
    """Names of this process's GPUs, or of its processors without any."""
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_logical_devices("GPU")
        cpus = tf.config.list_logical_devices("CPU")
        return [device.name for device in gpus or cpus]
    if backend == "jax":
        import keras

        return keras.distribution.list_devices()
    return ["the default one"]


def first_devices(strategy, backend, devices):
    """The devices to use, or an error that says how many there are."""
    there = all_devices(backend)
    if len(there) == 1:
        raise ValueError(
            f"Invalid value for argument `strategy`. Expected 'one', since "
            f"this process has one device, {there[0]}. Received: "
            f"strategy={strategy!r}"
        )
    if devices is not None and not 2 <= devices <= len(there):
        raise ValueError(
            "Invalid value for argument `devices`. Expected 2 to "
            f"{len(there)}, the number of devices here, with strategy "
            f"{strategy!r}. Received: devices={devices}"
        )
    return there[:devices]


def make_handle(strategy, devices):
    """The object of TensorFlow or Keras that the strategy is."""
    if strategy == "jax-data-parallel":
        return data_parallel(devices)
    import tensorflow as tf

    # What TensorFlow chooses for processors is a collective that can be set
    # up once in a process.
    on_processors = ":CPU:" in devices[0]
    return tf.distribute.MirroredStrategy(
        devices,
        tf.distribute.ReductionToOneDevice() if on_processors else None,
    )


def multi_worker(devices):
    """The cluster that `TF_CONFIG` names."""
    from keras_lbreg.distribute import MultiWorkerMirroredStrategy
    from keras_lbreg.distribute.cluster import read_tf_config

    if devices is not None:
        raise ValueError(
            "Invalid value for argument `devices`. Expected none with strategy "
            "'multi-worker': every worker uses all GPUs it sees; "
            "CUDA_VISIBLE_DEVICES says which. Received: "
            f"devices={devices}"
        )
    cluster = read_tf_config()
    if cluster is None:
        raise ValueError(
            "Invalid value for argument `strategy`. Expected the environment "
            "variable TF_CONFIG to name the workers with strategy "
            "'multi-worker'. Received: no TF_CONFIG"
        )
    handle = MultiWorkerMirroredStrategy()
    return Placement(
        "multi-worker",
        handle.num_replicas_in_sync,
        handle=handle,
        workers=cluster.size,
        worker=cluster.index,
    )


def data_parallel(devices):
    """`keras.distribution.DataParallel` that copies what it cannot divide.

    JAX refuses to divide 773 samples among 4 devices; each then evaluates all.
    """
    import keras

    class DataParallel(keras.distribution.DataParallel):
        def get_data_layout(self, data_shape):
            if data_shape[0] % self.num_model_replicas == 0:
                return super().get_data_layout(data_shape)
            return keras.distribution.TensorLayout(
                [None] * len(data_shape), self.device_mesh
            )

    return DataParallel(devices=devices)
