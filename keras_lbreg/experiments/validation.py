"""The validation data of a run, divided so that metrics are exact."""

import itertools

import keras

from keras_lbreg.data.tensorflow_stream import tensorflow_stream

LARGEST_BATCH = 1000


def for_fit(placement, x, y):
    """The arguments of `fit` that concern validation.

    Args:
        placement: The run's `Placement`.
        x: Array of inputs.
        y: Array of labels.

    Returns:
        A dictionary.

    Example:

    >>> model.fit(batches, **for_fit(placement, x_val, y_val))

    Reference: `replica_slices`.
    """
    if placement.handle is None or keras.backend.backend() != "tensorflow":
        return {
            "validation_data": (x, y),
            "validation_batch_size": batch_size(len(x), placement.devices),
        }
    import tensorflow as tf

    def parts():
        for step in replica_slices(len(x), placement.replicas):
            for index in placement.local_replicas:
                yield x[step[index]], y[step[index]]

    signature = tuple(
        tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in (x, y)
    )

    return {
        "validation_data": placement.distribute(
            lambda: tensorflow_stream(parts, signature)
        )
    }


def batch_size(samples, devices):
    """The size of the batches that `devices` devices evaluate together.

    Keras on JAX lays out all batches like the first one: either the devices
    divide every batch, or none, and then each evaluates all.
    """
    if samples % devices == 0:
        return LARGEST_BATCH - LARGEST_BATCH % devices
    return LARGEST_BATCH if LARGEST_BATCH % devices else LARGEST_BATCH - 1


def replica_slices(samples, replicas):
    """Divide samples among replicas, step by step.

    Every replica has at least one sample in every step: the mean of no
    samples is NaN. All have equally many but in the last step, since Keras
    looks at the first one to build the model.

    Args:
        samples: Number of samples, at least `2 * replicas`.
        replicas: Number of replicas.

    Returns:
        List with the slices of all replicas for each step.

    Example:

    >>> replica_slices(5, 2)
    [[slice(0, 1), slice(1, 2)], [slice(2, 4), slice(4, 5)]]

    Reference: what TensorFlow does by itself is
    `tf.distribute.Strategy.experimental_distribute_dataset`.
    """
    each, left = divmod(samples, replicas)
    largest = max(1, LARGEST_BATCH // replicas)
    # Those left over go to the first replicas, in a step of their own.
    equal = each - 1 if left else each
    sizes = []
    for done in range(0, equal, largest):
        sizes += [min(largest, equal - done)] * replicas
    if left:
        sizes += [2] * left + [1] * (replicas - left)
    bounds = itertools.accumulate(sizes, initial=0)
    slices = [slice(*pair) for pair in itertools.pairwise(bounds)]
    return [
        slices[first : first + replicas]
        for first in range(0, len(slices), replicas)
    ]


def check_samples(samples, replicas):
    """Raise unless every replica can have samples in every step."""
    if samples < 2 * replicas:
        raise ValueError(
            "The validation set is too small to be divided. Expected at least "
            f"two samples for each of {replicas} replicas. Received: "
            f"{samples} samples. Use fewer devices, or one (`--strategy one`)."
        )
