"""Shuffled batches of arrays, the same in every process."""

import numpy as np


class Batches:
    """Endless training batches, shuffled anew in every epoch.

    The order of epoch `e` is a function of `(seed, e)` alone:

    ```
    permutation(seed, e) = numpy.random.default_rng([seed, e]).permutation(n)
    ```

    so a run that is resumed at `initial_epoch` sees the same batches as one
    that was never interrupted, on every backend. The `n mod batch_size`
    samples left over at the end of an epoch are dropped: each epoch drops
    others.

    Args:
        x: Array of inputs, the sample axis first.
        y: Array of labels.
        batch_size: Samples in a batch, at most `len(x)`.
        seed: Non-negative int.
        initial_epoch: The epoch to begin with, from 0.

    Raises:
        ValueError: `batch_size` is not in `[1, len(x)]`.

    Example:

    >>> batches = Batches(x, y, batch_size=32, seed=0)
    >>> x_batch, y_batch = next(iter(batches))

    Reference: `numpy.random.default_rng` (PCG64 from a `SeedSequence`).
    """

    def __init__(self, x, y, batch_size, seed, initial_epoch=0):
        if not 1 <= batch_size <= len(x):
            raise ValueError(
                "Invalid value for argument `batch_size`. Expected an integer "
                f"from 1 to the number of training samples, {len(x)}. "
                f"Received: batch_size={batch_size}"
            )
        self.x = x
        self.y = y
        self.batch_size = batch_size
        self.seed = seed
        self.initial_epoch = initial_epoch

    @property
    def steps_per_epoch(self):
        """Full batches in one epoch."""
        return len(self.x) // self.batch_size

    def __iter__(self):
        epoch = self.initial_epoch
        while True:
            order = np.random.default_rng([self.seed, epoch]).permutation(
                len(self.x)
            )
            for step in range(self.steps_per_epoch):
                start = step * self.batch_size
                chosen = order[start : start + self.batch_size]
                yield self.x[chosen], self.y[chosen]
            epoch += 1
