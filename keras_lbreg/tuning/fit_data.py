"""The data of a user's `search(...)` call, in batches of any size."""

import sys

import keras
import numpy as np
from keras_tuner.errors import FatalTypeError, FatalValueError

from keras_lbreg.data.batches import Batches
from keras_lbreg.data.tensorflow_stream import tensorflow_stream
from keras_lbreg.techniques.hooks import hooks


def read_data(x, y=None, sample_weight=None, *, rank=None):
    """The training data, whatever its kind.

    Args:
        x: Arrays of inputs, or a `tf.data.Dataset` of `(x, y)` or
            `(x, y, sample_weight)`, batched or not, of known cardinality.
        y: Arrays of targets, unless `x` is a dataset.
        sample_weight: Array of weights, unless `x` is a dataset.
        rank: Number of axes of the model's (first) input, batch included.

    Returns:
        An `ArrayData` or a `DatasetData`.

    Raises:
        FatalTypeError: It is something else.
        FatalValueError: Something is missing, or of unknown size.

    Example:

    >>> data = read_data(x_train, y_train)
    >>> batches = data.batches(512, {}, context)

    Reference: KerasTuner ends the search at a fatal error, which is a mistake
    in the call and no trial's fault.
    """
    if is_tf_dataset(x):
        if y is not None or sample_weight is not None:
            raise FatalValueError(
                "Invalid value for argument `y`. Expected targets and weights "
                "to be part of the dataset. Received: a `tf.data.Dataset` and "
                "`y` or `sample_weight`"
            )
        return DatasetData(x, rank)
    if isinstance(x, keras.utils.PyDataset) or hasattr(x, "__next__"):
        raise FatalTypeError(
            "Invalid value for argument `x`. Expected arrays or a "
            "`tf.data.Dataset`, which can be cut into batches of any size. "
            f"Received: x of type {type(x).__name__}, whose batches have "
            "theirs already"
        )
    if x is None or y is None:
        raise FatalValueError(
            "A search needs inputs and targets. Expected "
            "`tuner.search(x, y, validation_data=(x_val, y_val))`. Received: "
            f"`{'x' if x is None else 'y'}=None`"
        )
    return ArrayData(x, y, sample_weight)


class ArrayData:
    """Arrays of inputs and targets, shuffled anew in every epoch.

    Args:
        x: Inputs: an array or a structure of arrays.
        y: Targets, likewise.
        sample_weight: Optional weights.

    Raises:
        FatalValueError: Their lengths differ.

    Example:

    >>> ArrayData(x, y).samples
    1437

    Reference: `keras_lbreg.data.batches.Batches` fixes the order.
    """

    def __init__(self, x, y, sample_weight=None):
        given = (x, y) if sample_weight is None else (x, y, sample_weight)
        # Tuples: TensorFlow takes a list for one tensor.
        self.arrays = keras.tree.map_structure(
            as_array, keras.tree.lists_to_tuples(given)
        )
        lengths = {len(array) for array in keras.tree.flatten(self.arrays)}
        if len(lengths) != 1:
            raise FatalValueError(
                "Expected as many inputs as targets and weights. Received: "
                f"arrays of {sorted(lengths)} samples"
            )
        self.samples = lengths.pop()

    def split(self, fraction):
        """The data without their last `fraction`, and that fraction."""
        if not 0 < fraction < 1:
            raise FatalValueError(
                "Invalid value for argument `validation_split`. Expected a "
                f"fraction between 0 and 1. Received: {fraction}"
            )
        kept = int(self.samples * (1 - fraction))
        return [
            ArrayData(
                *keras.tree.map_structure(lambda a, p=p: a[p], self.arrays)
            )
            for p in (slice(kept), slice(kept, None))
        ]

    def batches(self, batch_size, techniques, context):
        """Endless batches for `fit`, as the techniques change them."""

        def generate():
            numbers = np.arange(self.samples)
            stream = Batches(
                numbers,
                numbers,
                batch_size,
                context.seed,
                context.initial_step // (self.samples // batch_size),
            )
            for hook, settings in hooks(techniques, "data"):
                stream = hook(stream, settings, context)
            for chosen, _, *weights in stream:
                batch = keras.tree.map_structure(
                    lambda array, chosen=chosen: array[chosen], self.arrays
                )
                yield times(batch, *weights)

        if keras.backend.backend() != "tensorflow":
            return generate()
        import tensorflow as tf

        # Static shapes: ghost batches are then cut at tracing time.
        signature = tf.nest.map_structure(
            lambda array: tf.TensorSpec(array.shape, array.dtype),
            next(generate()),
        )
        return tensorflow_stream(generate, signature)


class DatasetData:
    """A `tf.data.Dataset`, in the order that it has.

    Its samples are dealt into full batches across the ends of its epochs.

    Args:
        dataset: The dataset. Where its elements are batches, the last is
            taken for a full one: an epoch is a number of updates here.
        rank: Number of axes of a batch of the model's first input.

    Raises:
        FatalValueError: The number of samples is unknown or infinite, or
            there are no targets.

    Example:

    >>> DatasetData(tf.data.Dataset.from_tensor_slices((x, y)), rank=4)

    Reference: https://www.tensorflow.org/guide/data
    """

    def __init__(self, dataset, rank):
        spec = dataset.element_spec
        if not isinstance(spec, tuple) or len(spec) not in (2, 3):
            raise FatalValueError(
                "Expected a `tf.data.Dataset` of `(x, y)` or "
                f"`(x, y, sample_weight)`. Received: elements of {spec}"
            )
        count = int(dataset.cardinality())
        if count < 0:
            known = "infinite" if count == -1 else "unknown"
            raise FatalValueError(
                "Expected a `tf.data.Dataset` of known cardinality, once "
                f"through the data. Received: {known} cardinality. Leave out "
                "`repeat()`, or append "
                "`.apply(tf.data.experimental.assert_cardinality(n))`"
            )
        size = 1
        if is_batched(dataset, rank):
            first = keras.tree.flatten(next(iter(dataset)))[0]
            size = int(first.shape[0])
            dataset = dataset.unbatch()
        self.samples = count * size
        self.dataset = dataset

    def split(self, fraction):
        """Not of a dataset: raises."""
        raise FatalValueError(
            "Invalid value for argument `validation_split`. Expected arrays. "
            "Received: a `tf.data.Dataset`. Give `validation_data`"
        )

    def batches(self, batch_size, techniques, context):
        """Endless batches for `fit`, as the techniques change them."""
        import tensorflow as tf

        stream = self.dataset.repeat().batch(batch_size, drop_remainder=True)
        for hook, settings in hooks(techniques, "data"):
            stream = hook(stream, settings, context)
        return stream.prefetch(tf.data.AUTOTUNE)


def is_tf_dataset(data):
    # Nobody has a dataset of TensorFlow without having imported TensorFlow.
    tf = sys.modules.get("tensorflow")
    return tf is not None and isinstance(data, tf.data.Dataset)


def is_batched(dataset, rank):
    """Whether the elements of a `tf.data.Dataset` are batches."""
    return len(keras.tree.flatten(dataset.element_spec)[0].shape) == rank


def as_array(values):
    values = np.asarray(values)
    if np.issubdtype(values.dtype, np.floating):
        values = values.astype(keras.config.floatx(), copy=False)
    return values


def times(batch, weights=None):
    """A batch `(x, y[, sample_weight])` whose weights are multiplied."""
    if weights is None:
        return batch
    x, y, *given = batch
    for own in given:
        trailing = (None,) * (own.ndim - 1)
        weights = own * weights[(..., *trailing)]
    return x, y, weights
