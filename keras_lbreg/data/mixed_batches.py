"""Batches of NumPy arrays or tensors with mixed sample weights."""

import keras
import numpy as np


def weights_of_samples(group_weights, batch_size):
    """Gives every sample of a batch the weight of its group.

    Args:
        group_weights: Array of shape `(groups,)`.
        batch_size: Integer B. The groups are consecutive; the first
            `B mod groups` of them are larger by one.

    Returns:
        Array of shape `(batch_size,)`.

    Example:

    >>> weights_of_samples(np.array([0.5, 1.5]), batch_size=3)
    array([0.5, 0.5, 1.5])

    Reference: `numpy.array_split`, which cuts in the same way.
    """
    size, larger = divmod(int(batch_size), len(group_weights))
    sizes = np.full(len(group_weights), size)
    sizes[:larger] += 1
    return np.repeat(group_weights, sizes)


def weigh(batch, weigh_samples):
    """Multiplies the sample weights of one batch.

    Args:
        batch: Tuple or list `(x, y)` or `(x, y, sample_weight)`.
        weigh_samples: Function that takes a target and returns the weights of
            its samples.

    Returns:
        Tuple `(x, y, sample_weight)`.

    Raises:
        ValueError: If `batch` is not of this form.

    Example:

    >>> x, y, weights = weigh((x, y), lambda y: np.ones(len(y)))

    Reference: see `mix_sample_weights`.
    """
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        raise ValueError(
            "Sample weights need targets. Expected batches `(x, y)` or "
            "`(x, y, sample_weight)`. Received: a batch of type "
            f"{type(batch).__name__}"
            + (f" and length {len(batch)}" if hasattr(batch, "__len__") else "")
        )
    x, y, given = (*batch, None)[:3]
    weights = weigh_samples(keras.tree.flatten(y)[0])
    if given is None:
        return x, y, weights

    def multiply(given):
        # Temporal weights have shape (samples, timesteps).
        trailing = (None,) * (len(given.shape) - 1)
        return given * weights[(..., *trailing)]

    return x, y, keras.tree.map_structure(multiply, given)


def mixed_batches(batches, group_weights, initial_step):
    """Yields the batches of an iterable with mixed sample weights.

    Args:
        batches: Iterable of `(x, y)` or `(x, y, sample_weight)`.
        group_weights: Function from a step to an array of shape `(groups,)`.
        initial_step: Integer, the step of the first batch.

    Yields:
        Tuples `(x, y, sample_weight)`.

    Example:

    >>> generator = mixed_batches(batches, lambda step: np.ones(4), 0)

    Reference: see `mix_sample_weights`.
    """
    for step, batch in enumerate(batches, start=initial_step):
        weights = group_weights(step)
        yield weigh(
            batch,
            lambda y, weights=weights: weights_of_samples(weights, y.shape[0]),
        )


class MixedPyDataset(keras.utils.PyDataset):
    """A `PyDataset` with mixed sample weights.

    Args:
        dataset: `keras.utils.PyDataset` of `(x, y)` or
            `(x, y, sample_weight)`.
        group_weights: Function from a step to an array of shape `(groups,)`.
        initial_step: Integer, the step of the first batch.

    Example:

    >>> mixed = MixedPyDataset(dataset, lambda step: np.ones(4), 0)

    Reference: see `mix_sample_weights`.
    """

    def __init__(self, dataset, group_weights, initial_step):
        super().__init__(
            workers=dataset.workers,
            use_multiprocessing=dataset.use_multiprocessing,
            max_queue_size=dataset.max_queue_size,
        )
        self.dataset = dataset
        self.group_weights = group_weights
        self.initial_step = initial_step
        self.epoch = 0
        self._has_begun = False
        self._is_complete = False

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def __getitem__(self, index):
        length = self.num_batches or 0
        self._is_complete |= index == length - 1
        weights = self.group_weights(
            self.initial_step + self.epoch * length + index
        )
        return weigh(
            self.dataset[index], lambda y: weights_of_samples(weights, len(y))
        )

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()
        self._has_begun = True
        # Worker processes take the batches out of this one's sight.
        self._is_complete = self.use_multiprocessing

    def on_epoch_end(self):
        # Keras also calls this before the first epoch, and after a look at a
        # first batch: such epochs do not count.
        self.dataset.on_epoch_end()
        if self._has_begun and self._is_complete:
            self.epoch += 1
        self._has_begun = False
