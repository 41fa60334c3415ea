"""The private parts of TensorFlow 2.21 that `distribute` relies on.

tests/distribute/test_tensorflow_hooks.py checks what they do.

TensorFlow configures its coordination service itself when a multi-worker
strategy is made, unless it is configured already. By itself it waits an hour
for a chief that never comes and for ever for any other worker, whatever the
register timeout, as that timeout is one of the registration's barrier, which is
off.
"""

import zlib

from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.distribute import multi_worker_util
from tensorflow.python.eager import context


def configure_coordination(cluster_spec, start_timeout, heartbeat_timeout):
    """Sets how many seconds workers wait to start, and for a sign of life."""
    if context.context()._context_handle is not None:
        raise RuntimeError(
            "TensorFlow is already running in this process. Expected "
            "`MultiWorkerMirroredStrategy` to be made before the first tensor, "
            "variable or dataset: make it at the beginning of the program."
        )
    jobs = [job for job in ("chief", "worker") if job in cluster_spec.jobs]
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=multi_worker_util.coordination_leader(cluster_spec),
        cluster_register_timeout_in_ms=int(1000 * start_timeout),
        heartbeat_timeout_in_ms=int(1000 * heartbeat_timeout),
        coordinated_jobs=[
            coordination_config_pb2.CoordinatedJob(
                name=job, num_tasks=cluster_spec.num_tasks(job)
            )
            for job in jobs
        ],
    )
    # All workers register together: a missing one is an error on all others
    # when the time is over; a second one with the same index is one on all.
    service = context.context().coordination_service
    service.cluster_register_with_barrier = True


def exchange(key, index, size, value, timeout):
    """The texts of all workers, from the store of the coordination service."""
    store = context.context()
    store.set_config_key_value(f"{key}/{index}", value)
    return [
        store.get_config_key_value(f"{key}/{i}", int(1000 * timeout))
        for i in range(size)
    ]


def random_state():
    """What the next seeds of random operations depend on; None without one."""
    seed = context.global_seed()
    if seed is None:
        return None
    state = repr((seed, context.context()._rng.getstate()))
    return zlib.crc32(state.encode())


def gather(cross_device_ops, per_replica_value, destinations, axis, options):
    """What `Strategy.gather` asks of a `tf.distribute.CrossDeviceOps`."""
    return cross_device_ops._gather(
        per_replica_value, destinations, axis, options
    )
