"""GradientMix on one device: random sample weights for groups of a batch."""

import collections.abc
import functools

import keras
import numpy as np

from keras_lbreg.checks import check_non_negative_int, check_positive_int
from keras_lbreg.data.samples import is_tf_dataset
from keras_lbreg.random.counter_based import resolve_seed
from keras_lbreg.random.mixing_weights import check_mixing_law, mixing_weights


def mix_sample_weights(
    dataset,
    groups,
    concentration=1.0,
    seed=None,
    law="dirichlet",
    stddev=1.0,
    initial_step=0,
):
    """Weights the samples so that the batch's gradient is a mixed gradient.

    Each batch is cut into K consecutive groups, as `MirroredStrategy` cuts it
    for K replicas, and every sample of group k gets the weight `K w_k`. With a
    loss that is a mean over samples (Keras's default reduction) the gradient
    is then

    ```
    g = sum_k w_k g_k,    w ~ Dirichlet(c, ..., c),    E[w_k] = 1 / K
    ```

    the one of `GradientMix` on K replicas with the same seed, regularizers
    of weights included: the weights of the groups sum to one. What a layer adds
    to the loss from its activations (`activity_regularizer`, `add_loss`) has no
    sample weights, and is not mixed. Existing sample weights are multiplied.

    A batch whose size K does not divide gets groups whose sizes differ by one,
    the larger ones first; a batch of less than K samples has empty groups. The
    expected weight of a sample is 1 in every case.

    The logged loss and `weighted_metrics` are weighted, too, and noisy for that
    reason; `metrics` are not. Call this last in the pipeline but for
    prefetching: `cache()` after it would repeat the weights, `shuffle()` would
    shuffle them.

    Steps. The weights are a function of `(seed, step)`. `step` counts batches
    from `initial_step`; give the number of updates made so far to resume. A
    `tf.data.Dataset` goes on from there in the next epoch; of a
    `keras.utils.PyDataset`, batch `i` of epoch `e` has step `e * n + i` for `n`
    batches in an epoch, in whatever order and by whatever `workers` they are
    read. An epoch that is left early does not count, since Keras looks at a
    first batch to build a model; where the cardinality is unknown, or workers
    read ahead, it does. What is endless begins at `initial_step` each time.

    The Gaussian law is Hoffer et al.'s multiplicative noise for groups,
    `K w_k ~ N(1, stddev^2)`, independent. These weights do not sum to one: the
    gradient of the samples is scaled as a whole, with standard deviation
    `stddev / sqrt(K)`, beside that of a regularizer, which is not.

    Args:
        dataset: Batches `(x, y)` or `(x, y, sample_weight)` of NumPy arrays
            or tensors, as a `tf.data.Dataset`, a `keras.utils.PyDataset`, or
            an iterable.
        groups: Positive integer, the number K of groups.
        concentration: Positive float `c` of the Dirichlet law. Defaults to
            `1.0`, uniform on the simplex.
        seed: Integer from 0 to 2**31 - 1, or None for a random one, which
            `keras.utils.set_random_seed` makes repeatable. Defaults to `None`.
        law: `"dirichlet"` or `"gaussian"`. Defaults to `"dirichlet"`.
        stddev: Non-negative float, used by the Gaussian law alone. Defaults to
            `1.0`.
        initial_step: Non-negative integer, the step of the first batch.
            Defaults to `0`.

    Returns:
        A `tf.data.Dataset` or a `PyDataset` where `dataset` is one; a generator
        for any other iterable. Batches are `(x, y, sample_weight)` with float32
        weights of shape `(samples,)` unless given weights have another.

    Raises:
        TypeError: If `dataset` is none of the above.
        ValueError: If an argument is outside of its range, or a batch has no
            targets.

    Example:

    >>> batches = [(np.ones((8, 3)), np.ones((8, 1)))]
    >>> x, y, weights = next(mix_sample_weights(batches, groups=4, seed=1))
    >>> weights.shape
    (8,)

    Reference:

    - GradientMix, submission to ICLR 2023
    - [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741), Gaussian law
    """
    check_mixing_law(law, concentration, stddev)
    check_positive_int("groups", groups)
    check_non_negative_int("initial_step", initial_step)
    # Not a closure: worker processes may get it as a pickle.
    group_weights = functools.partial(
        _group_weights,
        resolve_seed(seed),
        groups=int(groups),
        law=law,
        concentration=float(concentration),
        stddev=float(stddev),
    )
    if isinstance(dataset, keras.utils.PyDataset):
        return _MixedPyDataset(dataset, group_weights, int(initial_step))
    if is_tf_dataset(dataset):
        return _mixed_tf_dataset(dataset, group_weights, initial_step)
    # A tuple or list of arrays is iterable, but not by batches.
    if isinstance(dataset, np.ndarray | tuple | dict) or not isinstance(
        dataset, collections.abc.Iterable
    ):
        raise TypeError(
            "Invalid value for argument `dataset`. Expected batches: a "
            "`tf.data.Dataset`, a `keras.utils.PyDataset` or an iterable of "
            "`(x, y)` or `(x, y, sample_weight)`. Received: "
            f"dataset of type {type(dataset)}"
        )
    return _mixed_batches(dataset, group_weights, initial_step)


def _group_weights(seed, step, groups, **law):
    """`K w_k` for each of the groups."""
    weights = mixing_weights(seed, step, groups, **law, xp=np)
    return np.float32(groups) * weights


def _weights_of_samples(group_weights, batch_size):
    """Gives every sample the weight of its group, as `numpy.array_split`."""
    size, larger = divmod(int(batch_size), len(group_weights))
    sizes = np.full(len(group_weights), size)
    sizes[:larger] += 1
    return np.repeat(group_weights, sizes)


def weigh(batch, weigh_samples):
    """A batch whose sample weights are times `weigh_samples(target)`."""
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


def _mixed_batches(batches, group_weights, initial_step):
    for step, batch in enumerate(batches, start=initial_step):
        weights = group_weights(step)
        yield weigh(
            batch,
            lambda y, weights=weights: _weights_of_samples(weights, y.shape[0]),
        )


class _MixedPyDataset(keras.utils.PyDataset):
    """A `PyDataset` with mixed sample weights."""

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
            self.dataset[index], lambda y: _weights_of_samples(weights, len(y))
        )

    # Keras starts its workers before it calls `on_epoch_begin`
    # (https://github.com/keras-team/keras/issues/23283) and stops them before
    # `on_epoch_end`: the epoch may change in the latter alone.

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()
        self._has_begun = True
        # What workers have read ahead says nothing about what was used.
        self._is_complete = self.workers > 1 or self.use_multiprocessing

    def on_epoch_end(self):
        # Keras also calls this before the first epoch, and after a look at a
        # first batch: such epochs do not count.
        self.dataset.on_epoch_end()
        if self._has_begun and self._is_complete:
            self.epoch += 1
        self._has_begun = False


def _mixed_tf_dataset(dataset, group_weights, initial_step):
    """Maps the batches of a `tf.data.Dataset` to weighted ones."""
    import tensorflow as tf

    cardinality = int(dataset.cardinality())
    begin = end = initial_step  # of one pass after another over the dataset

    # In NumPy: the weights do not depend on the Keras backend.
    def weights_of_batch(index, batch_size):
        nonlocal begin, end
        if index == 0:
            begin = end
        step = begin + int(index)
        if cardinality in (tf.data.UNKNOWN_CARDINALITY, int(index) + 1):
            end = step + 1
        weights = group_weights(step)
        return _weights_of_samples(weights, batch_size).astype("float32")

    def map_batch(index, batch):
        def weigh_samples(y):
            weights = tf.numpy_function(
                weights_of_batch, [index, tf.shape(y)[0]], tf.float32
            )
            return tf.ensure_shape(weights, y.shape[:1])

        return weigh(batch, weigh_samples)

    return dataset.enumerate().map(map_batch)
