"""TensorFlow's context: how long workers wait, what random numbers they draw.

Checked against TensorFlow 2.21; tests/distribute/test_coordination_hooks.py
fails loudly when a part of it changes. TensorFlow configures the service itself
when a multi-worker strategy is made, and waits an hour for workers that never
come; it leaves a configuration alone that is there already.

The seeds of random operations come from a generator in the context, which
TensorFlow shows nobody without drawing from it.

A thread that waits for other workers is inside of one call of TensorFlow, and
can be let go only by ending all communication.
"""

import os
import sys
import threading
import zlib
from multiprocessing import pool

import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.distribute import multi_worker_util
from tensorflow.python.eager import context

# Every way into TensorFlow's C++ leads through one of its own Python files, and
# in eager mode communication goes through a pool of threads.
PYTHON_OF_TENSORFLOW = os.path.dirname(os.path.dirname(context.__file__))
WAITS = (threading.__file__, pool.__file__)


def configure_coordination(cluster_spec, start_timeout, heartbeat_timeout):
    """Sets how long workers wait for one another.

    Args:
        cluster_spec: `tf.train.ClusterSpec`.
        start_timeout: Seconds to wait for all workers to start.
        heartbeat_timeout: Seconds after which a silent worker counts as dead.

    Raises:
        RuntimeError: If TensorFlow is running already.
    """
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


def random_state():
    """What the next seeds of random operations depend on.

    Returns:
        Integer, or None if no seed is set.
    """
    seed = context.global_seed()
    if seed is None:
        return None
    state = repr((seed, context.context()._rng.getstate()))
    return zlib.crc32(state.encode())


def call_of_tensorflow(thread):
    """What a thread is doing, if TensorFlow has it.

    Args:
        thread: What `threading.get_ident()` returns in the thread.

    Returns:
        None, or what is equal as long as it is in the same call. It keeps what
        the thread's functions hold, and should be dropped soon.
    """
    top = caller = sys._current_frames().get(thread)
    while caller is not None and caller.f_code.co_filename in WAITS:
        caller = caller.f_back
    if caller is None:
        return None
    if not caller.f_code.co_filename.startswith(PYTHON_OF_TENSORFLOW):
        return None
    # The frame itself: the address of one that has ended is used again.
    return top, top.f_lasti


def abort_communication(message):
    """Ends what waits for other workers, now and ever after, in an error.

    Args:
        message: Text of the `tf.errors.DeadlineExceededError`.
    """
    context.context().abort_collective_ops(tf.errors.DEADLINE_EXCEEDED, message)
