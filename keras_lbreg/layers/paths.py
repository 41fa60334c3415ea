"""The two paths of a DReg model in one batch: their order, and the fork."""

import contextlib
import threading

import keras
from keras import ops

from keras_lbreg.checks import check_choice
from keras_lbreg.layers._keras_layer import get_keras_mask, set_keras_mask

_local = threading.local()


@contextlib.contextmanager
def paths_on_every_device():
    """While it lasts, each device keeps both paths of its own samples.

    Where JAX spreads the batch over devices, the order `[right; left]` would
    move every sample to another device at the fork, and back and forth at each
    normalization behind it. In `[right_1; left_1; right_2; left_2; ...]`, for
    device 1, device 2, ..., nothing moves. Random numbers that a layer draws
    for the rows of a forked batch (dropout) fall to other samples then.
    """
    outer = _blocks_are_on()
    _local.on = True
    try:
        yield
    finally:
        _local.on = outer


def stack_paths(right, left):
    """Both paths in one batch, the axis of samples twice as long."""
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
    """The right path's and the left path's tensor of `stack_paths`."""
    blocks = path_blocks(x.shape[0])
    if blocks == 1:
        return tuple(ops.split(x, 2))
    parts = ops.reshape(x, (blocks, 2, -1, *x.shape[1:]))
    return tuple(
        ops.reshape(parts[:, path], (-1, *x.shape[1:])) for path in (0, 1)
    )


def path_blocks(rows):
    """Number of parts of a forked batch, each with its own two halves."""
    distribution = keras.distribution.distribution()
    if not _blocks_are_on() or distribution is None or not rows:
        return 1
    devices = distribution.num_model_replicas
    return devices if rows % (2 * devices) == 0 else 1


def _blocks_are_on():
    return getattr(_local, "on", False)


def by_halves(right, left, inputs, mask=None):
    """Applies `right` to the larger half of a batch and `left` to the rest."""
    if path_blocks(inputs.shape[0]) > 1:
        masks = (None, None) if mask is None else unstack_paths(mask)
        halves = unstack_paths(inputs)
        return stack_paths(
            right(halves[0], masks[0]), left(halves[1], masks[1])
        )
    size = inputs.shape[0]
    if size is None:
        size = ops.shape(inputs)[0]
    middle = (size + 1) // 2
    if hasattr(inputs, "indices"):
        # A sparse tensor cannot be cut, the dense outputs can.
        return ops.concatenate(
            [right(inputs, mask)[:middle], left(inputs, mask)[middle:]]
        )
    # TensorFlow gets the shape of a convolution of nothing wrong, and nothing
    # has no mean. So the one sample of a batch of one is given to both sides,
    # and only what the right one makes of it counts.
    if isinstance(size, int):
        start = min(middle, size - 1)
    else:
        start = ops.minimum(middle, size - 1)
    masks = (None, None) if mask is None else (mask[:middle], mask[start:])
    outputs = ops.concatenate(
        [right(inputs[:middle], masks[0]), left(inputs[start:], masks[1])]
    )
    return outputs[:size]


def stack_mask(inputs, outputs):
    """Gives stacked outputs the mask of the inputs, for both paths."""
    mask = get_keras_mask(inputs)
    if mask is not None:
        set_keras_mask(outputs, stack_paths(mask, mask))
    return outputs


def select(left_active, left, right):
    """The tensor of the active path, from the variables of both."""
    return ops.where(
        ops.convert_to_tensor(left_active),
        ops.convert_to_tensor(left),
        ops.convert_to_tensor(right),
    )


def is_left(path):
    """Whether `path` names the left path."""
    check_choice("path", path, ("right", "left"))
    return path == "left"


class ActivePath:
    """Mixin for a layer with a choice of the path that it infers by."""

    @property
    def active_path(self):
        """The path used at inference, `"right"` or `"left"`. Settable."""
        left = self.left_active
        if left is None:
            return "right"
        return "left" if bool(ops.convert_to_numpy(left)) else "right"

    @active_path.setter
    def active_path(self, path):
        left = is_left(path)
        if self.left_active is None:
            raise ValueError(
                f"Layer '{self.name}' is not built. Call its model once before "
                "you choose the active path."
            )
        self.left_active.assign(left)

    def add_left_active(self):
        self.left_active = self.add_weight(
            name="left_active",
            shape=(),
            initializer="zeros",
            dtype="bool",
            trainable=False,
        )


@keras.saving.register_keras_serializable(package="keras_lbreg")
class PathFork(keras.layers.Layer):
    """Stacks a batch on itself in training: `[x; x]`."""

    def __init__(self, **kwargs):
        # Token ids and float32 side inputs pass as they are.
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True

    def call(self, inputs, training=None):
        if not training:
            return inputs
        return stack_mask(inputs, stack_paths(inputs, inputs))

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor(
            inputs.shape, dtype=inputs.dtype, sparse=inputs.sparse
        )

    def compute_output_shape(self, input_shape):
        return input_shape
