"""How a batch is cut into ghost batches."""

import math

from keras import ops


class GhostBatches:
    """The consecutive ghost batches of one batch.

    A batch of `B` samples has `q = max(1, B // S)` ghost batches of `S`
    samples each, but for the last one, which also takes the `B mod S` samples
    left over. Numbers are plain integers where the batch size is known while
    tracing, else scalar tensors (TensorFlow only).

    Sums over ghosts, and whatever is computed from them, are of *ghost shape*:
    `(q, 1, ..., C, ..., 1)`, ready to broadcast. Ghosts of equal size are
    summed in a view of shape `(q, S, ...)`. Otherwise the spatial axes are
    reduced for every sample by itself, and only the small result is cut, so
    that the large input is never copied.

    Args:
        shape: Shape of the input, `(B, ...)`, as `keras.ops.shape` gives it.
        ghost_batch_size: `S`, an integer.
        axis: The features axis, positive and not 0.

    Attributes:
        batch_size: `B`.
        count: `q`.
        last_size: Number of samples in the last ghost batch.
        channels: `C`, the size of the features axis.

    Example:

    >>> ghosts = GhostBatches((10, 3), ghost_batch_size=4, axis=1)
    >>> ghosts.count, ghosts.last_size
    (2, 6)
    >>> sums = ghosts.rows(ghosts.sum(ghosts.split(np.ones((10, 3)))))
    >>> keras.ops.convert_to_numpy(sums).tolist()
    [[4.0, 4.0, 4.0], [6.0, 6.0, 6.0]]

    Reference:

    - [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741)
    """

    def __init__(self, shape, ghost_batch_size, axis):
        self.shape = tuple(shape)
        self.ghost_batch_size = ghost_batch_size
        self.axis = axis
        self.batch_size = self.shape[0]
        count = self.batch_size // ghost_batch_size
        is_static = isinstance(self.batch_size, int)
        self.count = max(1, count) if is_static else ops.maximum(1, count)
        self.channels = self.shape[axis]
        self._axes_after = len(self.shape) - 1 - axis
        self._tail_start = (self.count - 1) * ghost_batch_size
        self.last_size = self.batch_size - self._tail_start
        self._is_even = is_static and (
            self.count == 1 or self.last_size == ghost_batch_size
        )

    def split(self, x):
        """The input, in the view in which it is summed."""
        if not self._is_even:
            return x
        return ops.reshape(x, (self.count, self.last_size, *self.shape[1:]))

    def join(self, y):
        """Undoes `split`."""
        return ops.reshape(y, self.shape) if self._is_even else y

    def sum(self, x):
        """Sums a split input over each ghost batch, to ghost shape."""
        rank = len(x.shape)
        features = rank - self._axes_after - 1
        others = [a for a in range(1, rank) if a != features]
        if others:
            x = ops.sum(x, axis=others, keepdims=True)
        if self._is_even:
            return x
        head, tail = x[: self._tail_start], x[self._tail_start :]
        head = ops.reshape(
            head, (self.count - 1, self.ghost_batch_size, *x.shape[1:])
        )
        return ops.concatenate(
            [ops.sum(head, axis=1), ops.sum(tail, axis=0, keepdims=True)]
        )

    def spread(self, values):
        """Hands every sample of a split input the value of its ghost."""
        if self._is_even:
            return values
        rest = values.shape[1:]
        head = ops.broadcast_to(
            ops.expand_dims(values[:-1], 1),
            (self.count - 1, self.ghost_batch_size, *rest),
        )
        head = ops.reshape(head, (self._tail_start, *rest))
        tail = ops.broadcast_to(values[-1:], (self.last_size, *rest))
        return ops.concatenate([head, tail])

    def expand(self, values):
        """Values of shape `(C,)`, `(q, C)` or `(q, 1)`, in ghost shape."""
        rank = len(self.shape) + (1 if self._is_even else 0)
        before = rank - 2 - self._axes_after
        shape = (*(1,) * before, values.shape[-1], *(1,) * self._axes_after)
        values = ops.reshape(values, (-1, *shape))
        return ops.broadcast_to(values, (self.count, *shape))

    def rows(self, values):
        """Values in ghost shape, as `(q, C)`."""
        return ops.reshape(values, (self.count, self.channels))

    def elements(self, dtype):
        """Number of elements of each ghost and feature, of shape `(q, 1)`."""
        others = [
            n for a, n in enumerate(self.shape) if a not in (0, self.axis)
        ]
        samples = ops.where(
            ops.arange(self.count) == self.count - 1,
            self.last_size,
            self.ghost_batch_size,
        )
        count = ops.cast(samples, dtype) * ops.cast(math.prod(others), dtype)
        return ops.expand_dims(count, 1)
