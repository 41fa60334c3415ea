"""Gradients on either backend."""

import keras
import numpy as np


def gradients(function, variables):
    """Value of `function()` and its gradients with respect to `variables`.

    Args:
        function: Callable without arguments that returns a scalar computed
            from the variables.
        variables: List of `keras.Variable`s.

    Returns:
        The value and a list of NumPy arrays.
    """
    if keras.backend.backend() == "jax":
        import jax

        def stateless(values):
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(mapping):
                return function()

        value, found = jax.value_and_grad(stateless)(
            [v.value for v in variables]
        )
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = function()
        found = tape.gradient(value, [v.value for v in variables])
    return float(value), [np.asarray(g) for g in found]
