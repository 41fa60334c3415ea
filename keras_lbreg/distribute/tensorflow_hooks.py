"""Private parts of `tf.distribute` that GradientMixCrossDeviceOps relies on.

Checked against TensorFlow 2.21; tests/distribute/test_tensorflow_hooks.py fails
loudly when one of them changes.
"""

import sys
import threading


def frames_of_waiting_replicas(cross_device_ops):
    """The Python frames in which replicas wait for a cross-device operation.

    `MirroredStrategy` runs each replica in a thread of its own and stops all
    of them at a `merge_call`, so that the cross-device operation, which runs
    in the caller's thread, does not see who asked for it: their stacks tell.

    Args:
        cross_device_ops: The object that the strategy was made with.

    Returns:
        List of frames, one for each replica of the strategy.
    """
    frames = sys._current_frames()
    return [
        frames[thread.ident]
        for thread in threading.enumerate()
        if _cross_device_ops_of(thread) is cross_device_ops
        and thread.ident in frames
    ]


def _cross_device_ops_of(thread):
    strategy = getattr(thread, "distribution", None)
    extended = getattr(strategy, "extended", None)
    return getattr(extended, "_cross_device_ops", None)


def raise_if_about_to_be_ignored(cross_device_ops):
    """Raises if TensorFlow is choosing other operations instead.

    Under XLA with GPUs alone, `MirroredExtended._get_cross_device_ops` returns
    its own collective operations. It looks at the given object's class in that
    case and in no other.

    Args:
        cross_device_ops: The object whose `__class__` is being read.

    Raises:
        RuntimeError: If that is so.
    """
    reader = sys._getframe(2)
    if reader.f_code.co_name == "_get_cross_device_ops":
        name = type(cross_device_ops).__name__
        raise RuntimeError(
            f"`{name}` has no effect when XLA compiles a step for GPUs alone: "
            "TensorFlow uses its own collective operations there. Use the "
            "optimizer wrapper `GradientMix`, or `jit_compile=False`."
        )
