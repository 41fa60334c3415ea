"""Find the devices that a run computes on."""

import dataclasses
import functools

from keras_lbreg.experiments.placement import (
    ONE_DEVICE,
    Placement,
    check_strategy,
)

TRY_OUT = (
    "To try it on a processor alone, divide it into virtual devices: "
    "`--virtual-devices 4`"
)


def choose_strategy(strategy="auto", devices=None):
    """The placement of this process.

    TensorFlow allows one default `MirroredStrategy` and one
    `MultiWorkerMirroredStrategy` in a process: they are made once and kept.

    `"auto"` takes, in this order,

    - `"multi-worker"` if `TF_CONFIG` names several workers (TensorFlow);
    - `"mirrored"` if there are several GPUs, or several virtual devices
      (TensorFlow);
    - `"jax-data-parallel"` if there are several devices (JAX);
    - `"one"`.

    Args:
        strategy: One of `"auto"`, `"one"`, `"mirrored"`, `"multi-worker"` and
            `"jax-data-parallel"`.
        devices: Number of this machine's devices to use, the first ones.
            Defaults to all GPUs, or all (virtual) processors where there is no
            GPU. Each worker of `"multi-worker"` uses all it sees.

    Returns:
        A `Placement`.

    Raises:
        ValueError: The strategy cannot be had here; the message says what is
            missing. Or `TF_CONFIG` names several workers, and each of them
            would train alone.

    Example:

    >>> placement = choose_strategy("mirrored", devices=2)
    >>> placement.replicas
    2

    Reference: `tf.distribute.Strategy`, `keras.distribution.DataParallel`.
    """
    import keras

    backend = keras.backend.backend()
    check_strategy(strategy, devices)
    check_backend(strategy, backend)
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


def check_backend(strategy, backend):
    """Raise unless the backend has the strategy."""
    needed = {
        "mirrored": "tensorflow",
        "multi-worker": "tensorflow",
        "jax-data-parallel": "jax",
    }.get(strategy, backend)
    if backend != needed:
        raise ValueError(
            "Invalid value for argument `strategy`. Expected one that the "
            f"backend {backend} has; {strategy!r} needs {needed} (`--backend "
            f"{needed}`). Received: strategy={strategy!r}"
        )


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
    also = "" if backend == "tensorflow" else " --backend tensorflow"
    raise ValueError(
        "Invalid value for argument `strategy`. Expected 'multi-worker' "
        f"(`--strategy multi-worker{also}`), since TF_CONFIG names "
        f"{cluster.size} workers, each of which would train the same alone; "
        "or no cluster (`unset TF_CONFIG`). Received: "
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
            f"this process has one device, {there[0]}. {TRY_OUT}. Received: "
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
        from keras_lbreg.experiments.data_parallel import DataParallel

        return DataParallel(devices=devices)
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
            "'multi-worker'; on this machine `lbreg launch --workers 2 -- "
            "train ...` sets it. Received: no TF_CONFIG"
        )
    handle = MultiWorkerMirroredStrategy()
    return Placement(
        "multi-worker",
        handle.num_replicas_in_sync,
        handle=handle,
        workers=cluster.size,
        worker=cluster.index,
    )
