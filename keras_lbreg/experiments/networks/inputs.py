"""The beginning of every network of the recipes."""

import keras


def normalized_inputs(dataset):
    """An input of the dataset's shape, and that input normalised.

    Args:
        dataset: The `Dataset` to build for.

    Returns:
        The pair `(inputs, x)` of Keras tensors; `x` has mean 0 and variance 1
        in each channel over the training images.

    Example:

    >>> inputs, x = normalized_inputs(load_dataset("digits"))

    Reference: `keras.layers.Normalization`.
    """
    mean, variance = dataset.moments()
    inputs = keras.Input(
        dataset.input_shape, dtype=str(dataset.x_train.dtype), name="images"
    )
    normalize = keras.layers.Normalization(
        mean=mean, variance=variance, name="normalize"
    )
    return inputs, normalize(inputs)
