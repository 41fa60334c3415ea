"""GradientMix on one device: random sample weights for groups of a batch."""

import collections.abc
import numbers
import sys

import keras
import numpy as np

from keras_lbreg.data.mixed_batches import MixedPyDataset, mixed_batches
from keras_lbreg.data.mixed_tf_dataset import mixed_tf_dataset
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

    the one of `GradientMix` on K replicas with the same seed. Existing sample
    weights are multiplied.

    A batch whose size K does not divide gets groups whose sizes differ by one,
    the larger ones first; a batch of less than K samples has empty groups. The
    expected weight of a sample is 1 in every case.

    The logged loss is weighted, too, and noisy for that reason; `metrics` of
    `compile` are not, `weighted_metrics` are. Give this function the batched
    dataset, last in the pipeline but for prefetching: `cache()` after it would
    repeat the weights, `shuffle()` after it would shuffle them.

    Steps. The weights are a function of `(seed, step)`. `step` counts batches
    from `initial_step`; give the number of updates made so far to resume.

    - Iterators, generators and other iterables: batch by batch.
    - `tf.data.Dataset`: batch by batch, and on from there in the next epoch. An
      epoch that is left early does not count, since Keras looks at a first
      batch to build a model; where the cardinality is unknown, it does. An
      endless dataset begins at `initial_step` each time it is iterated.
    - `keras.utils.PyDataset`: batch `i` of epoch `e` has step `e * n + i` for
      `n` batches in an epoch, in whatever order `fit(shuffle=True)` takes them.
      With `workers > 1`, which read ahead, Keras's look at a first batch may
      count as an epoch.

    Args:
        dataset: Batches `(x, y)` or `(x, y, sample_weight)` with NumPy arrays
            or tensors, as a `tf.data.Dataset`, a `keras.utils.PyDataset`, or an
            iterable. Arrays are no dataset: batch them first.
        groups: Positive integer, the number K of groups.
        concentration: Positive float `c` of the Dirichlet law. Defaults to
            `1.0`, uniform on the simplex.
        seed: Integer from 0 to 2**31 - 1, or None for a random one, which
            `keras.utils.set_random_seed` makes repeatable.
        law: `"dirichlet"`, or `"gaussian"` for independent, non-convex weights
            `K w_k ~ N(1, stddev^2)`. Defaults to `"dirichlet"`.
        stddev: Non-negative float, used by the Gaussian law alone. Defaults to
            `1.0`.
        initial_step: Non-negative integer, the step of the first batch.
            Defaults to `0`.

    Returns:
        A `tf.data.Dataset` or a `PyDataset` where `dataset` is one; a generator
        for any other iterable.

    Raises:
        TypeError: If `dataset` is none of the above.
        ValueError: If an argument is outside of its range, or a batch has no
            targets.

    Example:

    >>> batches = [(np.ones((8, 3)), np.ones((8, 1)))]
    >>> x, y, weights = next(mix_sample_weights(batches, groups=4, seed=1))

    Reference:

    - GradientMix, submission to ICLR 2023
    - [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741), Gaussian law
    """
    check_mixing_law(law, concentration, stddev)
    _check_integer("groups", groups, minimum=1)
    _check_integer("initial_step", initial_step, minimum=0)
    seed = resolve_seed(seed)

    def group_weights(step):
        weights = mixing_weights(
            seed, step, groups, law, concentration, stddev, xp=np
        )
        return np.float32(groups) * weights

    if isinstance(dataset, keras.utils.PyDataset):
        return MixedPyDataset(dataset, group_weights, initial_step)
    if _is_tf_dataset(dataset):
        return mixed_tf_dataset(dataset, group_weights, initial_step)
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
    return mixed_batches(dataset, group_weights, initial_step)


def _check_integer(argument, value, minimum):
    is_integer = isinstance(value, numbers.Integral)
    if isinstance(value, bool) or not is_integer or value < minimum:
        raise ValueError(
            f"Invalid value for argument `{argument}`. Expected an integer >= "
            f"{minimum}. Received: {argument}={value}"
        )


def _is_tf_dataset(dataset):
    # Nobody has a dataset of TensorFlow without having imported TensorFlow.
    tf = sys.modules.get("tensorflow")
    return tf is not None and isinstance(dataset, tf.data.Dataset)
