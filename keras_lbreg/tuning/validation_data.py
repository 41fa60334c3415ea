"""The validation data of a user's `search(...)` call."""

import itertools

from keras_tuner.errors import FatalTypeError, FatalValueError

from keras_lbreg.tuning.fit_data import ArrayData, is_batched, is_tf_dataset

LARGEST_BATCH = 1024


class ValidationData:
    """What every trial is judged by.

    Args:
        data: `(x_val, y_val)`, `(x_val, y_val, sample_weight)`, an
            `ArrayData`, or a `tf.data.Dataset`.
        rank: Number of axes of a batch of the model's first input.
        batch_size: Samples to evaluate at once, of arrays. By default as many
            as give every replica some in every step.
        replicas: Replicas that validate together.

    Raises:
        FatalValueError: There are none.
        FatalTypeError: They are something else.

    Example:

    >>> validation = ValidationData((x_val, y_val), rank=4)
    >>> model.evaluate(**validation.for_evaluate(), return_dict=True)

    Reference: `keras.Model.evaluate`.
    """

    def __init__(self, data, rank, batch_size=None, replicas=1):
        if data is None:
            raise FatalValueError(
                "A search needs validation data, by which the trials are "
                "compared. Expected `validation_data=(x_val, y_val)` or, for "
                "arrays, `validation_split=0.1`. Received: none"
            )
        self.batch_size = batch_size
        self.values = data
        if is_tf_dataset(data):
            if not is_batched(data, rank):
                self.values = data.batch(batch_size or LARGEST_BATCH)
            return
        if not isinstance(data, ArrayData):
            if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
                raise FatalTypeError(
                    "Invalid value for argument `validation_data`. Expected "
                    "`(x_val, y_val)`, `(x_val, y_val, sample_weight)` or a "
                    f"`tf.data.Dataset`. Received: {type(data).__name__}"
                )
            data = ArrayData(*data)
        self.values = data.arrays
        self.batch_size = batch_size or shared_batch_size(
            data.samples, replicas
        )

    def for_fit(self):
        """The arguments of `fit`."""
        if not isinstance(self.values, tuple):
            return {"validation_data": self.values}
        return {
            "validation_data": self.values,
            "validation_batch_size": self.batch_size,
        }

    def for_evaluate(self):
        """The arguments of `evaluate`."""
        if not isinstance(self.values, tuple):
            return {"x": self.values}
        named = zip(("x", "y", "sample_weight"), self.values, strict=False)
        return {**dict(named), "batch_size": self.batch_size}


def shared_batch_size(samples, replicas):
    """The largest batch size that leaves no replica without a sample.

    TensorFlow gives the first replicas of a last, smaller batch as much as
    ever, and the others nothing: the mean of no samples is NaN.

    Args:
        samples: Number of samples.
        replicas: Number of replicas.

    Returns:
        A multiple of `replicas`, at most `LARGEST_BATCH` where that is
        possible.

    Example:

    >>> shared_batch_size(37, 2)
    38

    Reference: `tf.distribute.Strategy.experimental_distribute_dataset`.
    """
    if replicas == 1:
        return min(samples, LARGEST_BATCH)
    whole = -(-samples // replicas)
    smaller = range(min(whole, LARGEST_BATCH // replicas), 0, -1)
    for each in itertools.chain(smaller, [whole]):
        last = samples % (each * replicas)
        if last == 0 or last > each * (replicas - 1):
            return each * replicas
    raise FatalValueError(
        f"{samples} validation samples cannot be shared by {replicas} "
        "replicas. Use fewer devices, or more validation data."
    )
