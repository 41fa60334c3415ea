"""Where the rows of the two paths stand in a forked batch."""

import contextlib
import threading

import keras
from keras import ops

_local = threading.local()


@contextlib.contextmanager
def paths_on_every_device():
    """While it lasts, each device keeps both paths of its own samples.

    The order of a forked batch is `[right; left]`. Where JAX spreads the batch
    over devices, that order would move every sample to another device at the
    fork, and back and forth at each normalization behind it. In this order,

    ```
    [right_1; left_1; right_2; left_2; ...]    device 1, device 2, ...
    ```

    nothing moves. Samples of a path keep their order among themselves; but
    random numbers that a layer draws for the rows of a forked batch (dropout)
    fall to other samples than on one device.

    Example:

    >>> with paths_on_every_device():
    ...     right, left = unstack_paths(stack_paths(x, y))

    Reference: `keras.distribution.DataParallel`.
    """
    outer = _blocks_are_on()
    _local.on = True
    try:
        yield
    finally:
        _local.on = outer


def stack_paths(right, left):
    """Both paths in one batch, the axis of samples twice as long.

    Args:
        right: Tensor of the right path.
        left: Tensor of the left path, of the same shape.

    Returns:
        Tensor.

    Example:

    >>> stack_paths(np.zeros((4, 3)), np.ones((4, 3))).shape
    (8, 3)

    Reference: see `paths_on_every_device`.
    """
    rows = right.shape[0]
    blocks = path_blocks(rows and 2 * rows)
    if blocks == 1:
        return ops.concatenate([right, left])
    parts = [
        ops.reshape(path, (blocks, -1, *path.shape[1:]))
        for path in (right, left)
    ]
    return ops.reshape(ops.concatenate(parts, 1), (-1, *right.shape[1:]))


def unstack_paths(x):
    """Undoes `stack_paths`.

    Args:
        x: Tensor with an even number of rows.

    Returns:
        Tuple of the right path's and the left path's tensor.

    Example:

    >>> right, left = unstack_paths(np.zeros((8, 3)))

    Reference: see `paths_on_every_device`.
    """
    blocks = path_blocks(x.shape[0])
    if blocks == 1:
        return tuple(ops.split(x, 2))
    parts = ops.reshape(x, (blocks, 2, -1, *x.shape[1:]))
    return tuple(
        ops.reshape(parts[:, path], (-1, *x.shape[1:])) for path in (0, 1)
    )


def path_blocks(rows):
    """Number of parts of a batch of which each has its own two halves.

    Args:
        rows: Number of rows of the forked batch, None where it is unknown.

    Returns:
        Integer; 1 outside of `paths_on_every_device`.

    Example:

    >>> path_blocks(64)
    1

    Reference: see `paths_on_every_device`.
    """
    distribution = keras.distribution.distribution()
    if not _blocks_are_on() or distribution is None or not rows:
        return 1
    devices = distribution.num_model_replicas
    return devices if rows % (2 * devices) == 0 else 1


def _blocks_are_on():
    return getattr(_local, "on", False)
