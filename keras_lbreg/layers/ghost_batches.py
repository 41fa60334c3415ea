"""How a batch is cut into ghost batches."""

from keras import ops


class GhostBatches:
    """The consecutive ghost batches of one batch.

    A batch of `B` samples has `q = max(1, B // S)` ghost batches of `S`
    samples each, but for the last one, which also takes the `B mod S` samples
    left over. Sizes are plain integers where the batch size is known while
    tracing, else scalar tensors (TensorFlow only).

    Args:
        batch_size: `B`, an integer or a scalar integer tensor.
        ghost_batch_size: `S`, an integer.

    Attributes:
        count: `q`.
        last_size: Number of samples in the last ghost batch.

    Example:

    >>> ghosts = GhostBatches(batch_size=10, ghost_batch_size=4)
    >>> ghosts.count, ghosts.last_size
    (2, 6)

    Reference:

    - [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741)
    """

    def __init__(self, batch_size, ghost_batch_size):
        self.batch_size = batch_size
        self.ghost_batch_size = ghost_batch_size
        self.is_static = isinstance(batch_size, int)
        count = batch_size // ghost_batch_size
        self.count = max(1, count) if self.is_static else ops.maximum(1, count)
        self._tail_start = (self.count - 1) * ghost_batch_size
        self.last_size = batch_size - self._tail_start

    @property
    def is_even(self):
        """Whether all ghost batches are known to be of the same size."""
        return self.is_static and (
            self.count == 1 or self.last_size == self.ghost_batch_size
        )

    def sizes(self, dtype="float32"):
        """Number of samples in every ghost batch, of shape `(q, 1)`."""
        size = ops.cast(self.ghost_batch_size, dtype)
        last = ops.cast(self.last_size, dtype)
        is_last = ops.arange(self.count) == self.count - 1
        return ops.expand_dims(ops.where(is_last, last, size), 1)

    def sum(self, values):
        """Sums `(B, C)` values over each ghost batch, to `(q, C)`."""
        channels = values.shape[1]
        if self.is_even:
            split = (self.count, self.last_size, channels)
            return ops.sum(ops.reshape(values, split), axis=1)
        head, tail = values[: self._tail_start], values[self._tail_start :]
        split = (self.count - 1, self.ghost_batch_size, channels)
        head = ops.sum(ops.reshape(head, split), axis=1)
        return ops.concatenate([head, ops.sum(tail, axis=0, keepdims=True)])

    def spread(self, values):
        """Hands each sample the value of its ghost: `(q, C)` to `(B, C)`."""
        channels = values.shape[1]
        if self.is_even:
            return self._repeat(values, self.count, self.last_size)
        head = self._repeat(values[:-1], self.count - 1, self.ghost_batch_size)
        tail = ops.broadcast_to(values[-1:], (self.last_size, channels))
        return ops.concatenate([head, tail])

    @staticmethod
    def _repeat(values, count, times):
        channels = values.shape[1]
        values = ops.broadcast_to(
            ops.expand_dims(values, 1), (count, times, channels)
        )
        return ops.reshape(values, (count * times, channels))


def ghost_batch_sizes(batch_size, ghost_batch_size):
    """Sizes of the ghost batches of a batch, as a list of integers."""
    ghosts = GhostBatches(batch_size, ghost_batch_size)
    return [ghost_batch_size] * (ghosts.count - 1) + [ghosts.last_size]
