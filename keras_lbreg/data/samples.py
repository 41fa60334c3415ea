"""Training and validation data as users have them."""

import sys

import keras
import numpy as np

KINDS = (
    "`(x, y)` or `(x, y, sample_weight)` of arrays, a `tf.data.Dataset` of "
    "these, or a function that returns one"
)


def is_tf_dataset(data):
    """Whether it is a `tf.data.Dataset`; never imports TensorFlow."""
    # Nobody has a dataset of TensorFlow without having imported TensorFlow.
    tf = sys.modules.get("tensorflow")
    return tf is not None and isinstance(data, tf.data.Dataset)


def check_data(argument, data):
    """The data with NumPy's arrays, or an error that says what is wrong."""
    if is_tf_dataset(data):
        return check_dataset(argument, data)
    if isinstance(data, keras.utils.PyDataset) or hasattr(data, "__next__"):
        kind = type(data).__name__
        raise TypeError(
            message(
                argument,
                f"{KINDS}, which can be cut into batches of any size",
                f"a {kind}, whose batches have their size already. Give the "
                "arrays behind it, or a function `augmentation(x, rng)` in "
                "place of what it does to a batch",
            )
        )
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise TypeError(message(argument, KINDS, describe(data)))
    if len(data) == 3 and data[2] is None:
        data = data[:2]
    if any(part is None for part in data):
        received = f"None in place of {'xy'[data[0] is not None]}"
        raise ValueError(message(argument, KINDS, received))
    # Tuples: TensorFlow takes a list for one tensor.
    data = keras.tree.map_structure(
        lambda values: as_array(argument, values),
        keras.tree.lists_to_tuples(tuple(data)),
        none_is_leaf=False,
    )
    lengths = sorted({len(array) for array in keras.tree.flatten(data)})
    if len(lengths) != 1 or lengths == [0]:
        expected = (
            "at least one sample, and as many inputs as targets and weights"
        )
        received = f"arrays of {lengths} samples"
        raise ValueError(message(argument, expected, received))
    return data


def made(argument, data):
    """The checked data that a function makes, or those that are there."""
    return check_data(argument, data()) if callable(data) else data


def check_dataset(argument, dataset):
    """The `tf.data.Dataset`, or an error that says what is wrong."""
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        expected = "a `tf.data.Dataset` of `(x, y)` or `(x, y, sample_weight)`"
        raise ValueError(message(argument, expected, f"elements of {spec}"))
    count = int(dataset.cardinality())
    if count <= 0:
        expected = (
            "a `tf.data.Dataset` of known cardinality, once through the data: "
            "leave out `repeat()`, or append `.apply(tf.data.experimental."
            "assert_cardinality(n))`"
        )
        known = {0: "no elements", -1: "infinite cardinality"}
        received = known.get(count, "unknown cardinality")
        raise ValueError(message(argument, expected, received))
    return dataset


def as_array(argument, values):
    """The values as an array; floats in Keras's own precision."""
    if isinstance(values, np.memmap):
        return values
    array = np.asarray(values)
    if array.dtype.kind not in "biufSU" or array.ndim == 0:
        expected = "arrays of numbers or strings"
        raise TypeError(message(argument, expected, describe(values)))
    if array.dtype.kind == "f":
        array = array.astype(keras.config.floatx(), copy=False)
    return array


def message(argument, expected, received):
    return (
        f"Invalid value for argument `{argument}`. Expected {expected}. "
        f"Received: {received}"
    )


def describe(values):
    """What kind of thing it is, in a few words."""
    if isinstance(values, np.ndarray):
        return f"an array of shape {values.shape} and type {values.dtype}"
    if isinstance(values, (tuple, list)):
        return f"a {type(values).__name__} of {len(values)}"
    return f"a {type(values).__name__}"


def count_samples(data):
    """Number of samples of structures of arrays."""
    return len(keras.tree.flatten(data)[0])


def take_rows(data, rows):
    """The samples of these numbers."""
    return keras.tree.map_structure(lambda array: array[rows], data)
