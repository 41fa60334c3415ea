"""Gradients with regard to tensors, on either backend."""

import keras


def gradients(function, inputs):
    """Gradients of a scalar function with regard to all its inputs."""
    inputs = tuple(keras.ops.convert_to_tensor(x) for x in inputs)
    if keras.backend.backend() == "jax":
        import jax

        every = tuple(range(len(inputs)))
        return jax.jit(jax.grad(function, argnums=every))(*inputs)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(*inputs)
    return tape.gradient(value, inputs, unconnected_gradients="zero")
