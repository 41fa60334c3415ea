"""Shuffled batches of arrays, the same in every process."""

import numpy as np

from keras_lbreg.checks import check_positive_int, invalid


class Batches:
    """Endless training batches, shuffled anew in every epoch.

    The order of epoch `e` is a function of `(seed, e)` alone:

    ```
    permutation(seed, e) = numpy.random.default_rng([seed, e]).permutation(n)
    ```

    so a run that is resumed at `initial_epoch` sees the same batches as one
    that was never interrupted, on every backend. The `n mod batch_size`
    samples left over at the end of an epoch are dropped: each epoch drops
    others. An epoch of more batches than the samples make goes on with
    `permutation(seed, e, 1)`, and so on.

    Args:
        x: Array of inputs, the sample axis first.
        y: Array of labels.
        batch_size: Samples in a batch.
        seed: Non-negative int.
        initial_epoch: The epoch to begin with, from 0.
        steps_per_epoch: Batches in one epoch. Defaults to the full batches
            that the samples make, `len(x) // batch_size`.

    Raises:
        ValueError: `batch_size` is not in `[1, len(x)]`.

    Example:

    >>> batches = Batches(x, y, batch_size=32, seed=0)
    >>> x_batch, y_batch = next(iter(batches))

    Reference: `numpy.random.default_rng` (PCG64 from a `SeedSequence`).
    """

    def __init__(
        self, x, y, batch_size, seed, initial_epoch=0, steps_per_epoch=None
    ):
        check_positive_int("batch_size", batch_size)
        if batch_size > len(x):
            raise invalid(
                "batch_size",
                f"at most the number of training samples, {len(x)}",
                batch_size,
            )
        self.x = x
        self.y = y
        self.batch_size = batch_size
        self.seed = seed
        self.initial_epoch = initial_epoch
        self.steps_per_epoch = steps_per_epoch or len(x) // batch_size

    def order(self, epoch):
        """The numbers of the samples of one epoch, in order."""
        needed = self.steps_per_epoch * self.batch_size
        parts = []
        while needed > 0:
            again = [len(parts)] if parts else []
            generator = np.random.default_rng([self.seed, epoch, *again])
            parts.append(generator.permutation(len(self.x))[:needed])
            needed -= len(parts[-1])
        return np.concatenate(parts)

    def __iter__(self):
        epoch = self.initial_epoch
        while True:
            for chosen in np.split(self.order(epoch), self.steps_per_epoch):
                yield self.x[chosen], self.y[chosen]
            epoch += 1
