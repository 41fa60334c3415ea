"""Where a run computes: one device, several, or several machines."""

import contextlib
import dataclasses
import functools
import pickle

import keras
import numpy as np

from keras_lbreg.checks import check_choice, check_positive_int, invalid
from keras_lbreg.distribute.cluster import read_tf_config

# Which backend has which; the others are for both.
BACKENDS = {
    "mirrored": "tensorflow",
    "multi-worker": "tensorflow",
    "jax-data-parallel": "jax",
}
STRATEGIES = ("auto", "one", *BACKENDS)


@dataclasses.dataclass(frozen=True)
class Placement:
    """The devices that share every batch of a run."""

    strategy: str = "one"
    # In all processes.
    devices: int = 1
    # In words.
    why: str = "the default"
    # A `tf.distribute.Strategy` or a `keras.distribution.DataParallel`.
    handle: object = dataclasses.field(default=None, repr=False, compare=False)
    # Processes that train together, and this one among them.
    workers: int = 1
    worker: int = 0

    @property
    def replicas(self):
        """Copies of the model with a part of the batch each; JAX has one."""
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

    def on_chief(self, function):
        """What `function` returns, or raises, on the chief; on all workers.

        Whatever depends on files goes through here, so that all workers decide
        alike without a common file system.
        """
        if self.workers == 1:
            return function()
        from keras_lbreg.distribute import broadcast_from_chief

        error, message = None, None
        if self.is_chief:
            result, kind = None, None
            try:
                result = function()
            except Exception as raised:
                error = raised
                kinds = type(raised).__mro__
                kind = next(k for k in kinds if k.__module__ == "builtins")
            message = pickle.dumps((result, kind, f"{error}"))
            message = [np.frombuffer(message, "uint8")]
        [message] = broadcast_from_chief(self.handle, message)
        result, kind, text = pickle.loads(np.asarray(message).tobytes())
        if error is not None:
            raise error
        if kind is not None:
            # The user's mistake is one on all workers.
            raise kind(f"The chief, worker 0, cannot go on. {text}")
        return result

    def describe(self):
        """The placement in one line."""
        shape = "one device" if self.devices == 1 else f"{self.devices} devices"
        if self.workers > 1:
            shape += f" of {self.workers} workers"
        return f"Strategy: {self.strategy}, {shape} ({self.why})"


ONE_DEVICE = Placement()


def choose_strategy(strategy="auto", devices=None):
    """The `Placement` of this process, on the first `devices` of this machine.

    These are GPUs, or (virtual) processors where there is none; each worker of
    `"multi-worker"` uses all it sees. `"auto"` takes `"multi-worker"` if
    `TF_CONFIG` names several workers, then `"mirrored"` or
    `"jax-data-parallel"` if there are several devices, else `"one"`.
    """
    if devices is not None:
        check_positive_int("devices", devices)
    check_choice("strategy", strategy, STRATEGIES)
    backend = keras.backend.backend()
    needed = BACKENDS.get(strategy, backend)
    if backend != needed:
        expected = (
            f"one that the backend {backend} has; {strategy!r} needs {needed}"
        )
        raise invalid("strategy", expected, strategy)
    asked, why = strategy, "as asked for"
    cluster = read_tf_config()
    workers = 1 if cluster is None else cluster.size
    if strategy == "auto":
        strategy, why = automatic(backend, devices, workers)
    if workers > 1 and strategy != "multi-worker":
        expected = (
            "'multi-worker', on the backend tensorflow, since TF_CONFIG names "
            f"{workers} workers, each of which would train the same alone; or "
            "no TF_CONFIG"
        )
        raise invalid("strategy", expected, asked)
    return dataclasses.replace(make(strategy, backend, devices), why=why)


def automatic(backend, devices, workers):
    """The strategy that suits this process, and why."""
    if workers > 1 and backend == "tensorflow":
        return "multi-worker", f"TF_CONFIG names {workers} workers"
    there = all_devices(backend)
    if devices == 1:
        return "one", "one device was asked for"
    if len(there) == 1 and devices is None:
        return "one", f"the only device is {there[0]}"
    several = {"tensorflow": "mirrored", "jax": "jax-data-parallel"}
    if backend not in several:
        return "one", f"no strategy is known for the backend {backend}"
    return several[backend], f"this process has {len(there)} devices"


def all_devices(backend):
    """Names of this process's GPUs, or of its processors without any."""
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_logical_devices("GPU")
        cpus = tf.config.list_logical_devices("CPU")
        return [device.name for device in gpus or cpus]
    if backend == "jax":
        return keras.distribution.list_devices()
    return ["the default one"]


@functools.cache
def make(strategy, backend, devices):
    """The placement without the reason for it.

    TensorFlow allows one default `MirroredStrategy` and one
    `MultiWorkerMirroredStrategy` in a process: they are made once and kept.
    """
    if strategy == "multi-worker":
        return multi_worker(devices)
    if strategy == "one":
        if devices not in (None, 1):
            expected = "1 or none with strategy 'one'"
            raise invalid("devices", expected, devices)
        return ONE_DEVICE
    there = all_devices(backend)
    if len(there) == 1:
        expected = f"'one', since this process has one device, {there[0]}"
        raise invalid("strategy", expected, strategy)
    if devices is not None and not 2 <= devices <= len(there):
        expected = (
            f"2 to {len(there)}, the number of devices here, with strategy "
            f"{strategy!r}"
        )
        raise invalid("devices", expected, devices)
    chosen = there[:devices]
    kind = mirrored if strategy == "mirrored" else data_parallel
    return Placement(strategy, len(chosen), handle=kind(chosen))


def mirrored(devices):
    import tensorflow as tf

    # What TensorFlow chooses for processors is a collective that can be set
    # up once in a process.
    on_processors = ":CPU:" in devices[0]
    return tf.distribute.MirroredStrategy(
        devices,
        tf.distribute.ReductionToOneDevice() if on_processors else None,
    )


def data_parallel(devices):
    """`DataParallel` that copies to all what JAX refuses to divide evenly."""

    class DataParallel(keras.distribution.DataParallel):
        def get_data_layout(self, data_shape):
            if data_shape[0] % self.num_model_replicas == 0:
                return super().get_data_layout(data_shape)
            return keras.distribution.TensorLayout(
                [None] * len(data_shape), self.device_mesh
            )

    return DataParallel(devices=devices)


def multi_worker(devices):
    """The cluster that `TF_CONFIG` names."""
    from keras_lbreg.distribute import MultiWorkerMirroredStrategy

    if devices is not None:
        expected = (
            "none with strategy 'multi-worker': every worker uses all GPUs it "
            "sees; CUDA_VISIBLE_DEVICES says which"
        )
        raise invalid("devices", expected, devices)
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
