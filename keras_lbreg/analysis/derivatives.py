"""Derivatives of a loss, compiled by the backend.

`make_derivatives(function)` takes `function(point, frozen, x, y)`, which
returns the loss, and returns an object with these methods, each of which
returns a list of arrays of the backend. `point`, `total` and `vector` are lists
of arrays, one for each trainable variable; only `point` is varied.

```
loss(point, frozen, x, y)                             f
loss_and_gradient(point, frozen, x, y)                f, ∇f
squared_gradient(point, total, frozen, x, y)          |∇f|², total + ∇f
hessian_vector_product(point, vector, frozen, x, y)   (∂²f/∂θ²) v
squared_length(arrays)                                Σ |a|², one number
```
"""

import types

import keras


def make_derivatives(function):
    """The derivatives of a function (see the module)."""
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise RuntimeError(
            "Derivatives of the loss need the backend tensorflow or jax. "
            f"Received: {backend}"
        )
    make = on_tensorflow if backend == "tensorflow" else on_jax
    value_and_gradient, hessian_vector_product, compiled = make(function)

    def loss(point, frozen, x, y):
        return [function(point, frozen, x, y)]

    def loss_and_gradient(point, frozen, x, y):
        value, gradient = value_and_gradient(point, frozen, x, y)
        return [value, *gradient]

    def squared_gradient(point, total, frozen, x, y):
        _, gradient = value_and_gradient(point, frozen, x, y)
        sums = [t + g for t, g in zip(total, gradient, strict=True)]
        return [squared_length(gradient), *sums]

    def squared_length(arrays):
        return sum(keras.ops.sum(keras.ops.square(a)) for a in arrays)

    return types.SimpleNamespace(
        loss=compiled(loss),
        loss_and_gradient=compiled(loss_and_gradient),
        squared_gradient=compiled(squared_gradient),
        squared_length=compiled(squared_length),
        hessian_vector_product=compiled(hessian_vector_product),
    )


def on_jax(function):
    """Forward over reverse mode."""
    import jax

    def hessian_vector_product(point, vector, frozen, x, y):
        def gradient(point):
            return jax.grad(function)(point, frozen, x, y)

        return jax.jvp(gradient, (point,), (vector,))[1]

    return jax.value_and_grad(function), hessian_vector_product, jax.jit


def on_tensorflow(function):
    """Reverse over reverse: not every operation has a forward mode."""
    import tensorflow as tf

    zero = tf.UnconnectedGradients.ZERO

    def value_and_gradient(point, frozen, x, y):
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = function(point, frozen, x, y)
        gradient = tape.gradient(value, point, unconnected_gradients=zero)
        # That of an embedding is sparse.
        return value, [tf.convert_to_tensor(g) for g in gradient]

    def hessian_vector_product(point, vector, frozen, x, y):
        with tf.GradientTape() as outer:
            outer.watch(point)
            _, gradient = value_and_gradient(point, frozen, x, y)
            products = [
                tf.reduce_sum(g * tf.stop_gradient(v))
                for g, v in zip(gradient, vector, strict=True)
            ]
            product = tf.add_n(products)
        return outer.gradient(product, point, unconnected_gradients=zero)

    def compiled(function):
        graph = tf.function(function, reduce_retracing=True)

        def call(*arguments):
            # Of NumPy arrays, each would be traced anew.
            return graph(
                *tf.nest.map_structure(tf.convert_to_tensor, arguments)
            )

        return call

    return value_and_gradient, hessian_vector_product, compiled
