"""Derivatives of a loss, compiled by TensorFlow."""

import tensorflow as tf


class TensorFlowDerivatives:
    """Loss, gradient and Hessian-vector product of one batch.

    Args:
        function: `function(point, frozen, x, y)` returns the loss; `point` and
            `frozen` are lists of tensors, of which `point` is varied.

    Each method returns a list of tensors. The Hessian-vector product is the
    gradient of the inner product of gradient and vector, reverse over reverse
    mode: not every operation of TensorFlow has a forward mode.

    Example:

    >>> derivatives = TensorFlowDerivatives(
    ...     lambda point, frozen, x, y: tf.reduce_sum(point[0] ** 2)
    ... )

    Reference: https://www.tensorflow.org/guide/advanced_autodiff
    """

    def __init__(self, function):
        zero = tf.UnconnectedGradients.ZERO

        def value_and_gradient(point, frozen, x, y):
            with tf.GradientTape() as tape:
                tape.watch(point)
                value = function(point, frozen, x, y)
            gradient = tape.gradient(value, point, unconnected_gradients=zero)
            # That of an embedding is sparse.
            return value, [tf.convert_to_tensor(g) for g in gradient]

        @tf.function(reduce_retracing=True)
        def loss(point, frozen, x, y):
            return [function(point, frozen, x, y)]

        @tf.function(reduce_retracing=True)
        def loss_and_gradient(point, frozen, x, y):
            value, gradient = value_and_gradient(point, frozen, x, y)
            return [value, *gradient]

        @tf.function(reduce_retracing=True)
        def squared_gradient(point, total, frozen, x, y):
            _, gradient = value_and_gradient(point, frozen, x, y)
            return [
                squared_length(gradient),
                *[t + g for t, g in zip(total, gradient, strict=True)],
            ]

        @tf.function(reduce_retracing=True)
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

        self.loss = on_tensors(loss)
        self.loss_and_gradient = on_tensors(loss_and_gradient)
        self.squared_gradient = on_tensors(squared_gradient)
        self.squared_length = on_tensors(squared_length)
        self.hessian_vector_product = on_tensors(hessian_vector_product)


def squared_length(tensors):
    return tf.add_n([tf.reduce_sum(tf.square(t)) for t in tensors])


def on_tensors(function):
    """Keeps `tf.function` from tracing anew for every NumPy array."""

    def call(*arguments):
        return function(*tf.nest.map_structure(tf.convert_to_tensor, arguments))

    return call
