"""Derivatives of a loss, compiled by TensorFlow."""

import tensorflow as tf


class TensorFlowDerivatives:
    """Loss, gradient and Hessian-vector product of one batch.

    Args:
        function: `function(point, x, y)` returns the loss; `point` is a list
            of tensors.

    Each method returns a list of tensors. The Hessian-vector product is the
    gradient of the inner product of gradient and vector, reverse over reverse
    mode: not every operation of TensorFlow has a forward mode.

    Example:

    >>> derivatives = TensorFlowDerivatives(
    ...     lambda point, x, y: tf.reduce_sum(point[0] ** 2)
    ... )

    Reference: https://www.tensorflow.org/guide/advanced_autodiff
    """

    def __init__(self, function):
        zero = tf.UnconnectedGradients.ZERO

        @tf.function(reduce_retracing=True)
        def loss(point, x, y):
            return [function(point, x, y)]

        @tf.function(reduce_retracing=True)
        def loss_and_gradient(point, x, y):
            with tf.GradientTape() as tape:
                tape.watch(point)
                value = function(point, x, y)
            gradient = tape.gradient(value, point, unconnected_gradients=zero)
            return [value, *gradient]

        @tf.function(reduce_retracing=True)
        def hessian_vector_product(point, vector, x, y):
            with tf.GradientTape() as outer:
                outer.watch(point)
                with tf.GradientTape() as inner:
                    inner.watch(point)
                    value = function(point, x, y)
                gradient = inner.gradient(
                    value, point, unconnected_gradients=zero
                )
                products = [
                    tf.reduce_sum(g * tf.stop_gradient(v))
                    for g, v in zip(gradient, vector, strict=True)
                ]
                product = tf.add_n(products)
            return outer.gradient(product, point, unconnected_gradients=zero)

        def on_tensors(function):
            def call(*arguments):
                return function(
                    *tf.nest.map_structure(tf.convert_to_tensor, arguments)
                )

            return call

        self.loss = on_tensors(loss)
        self.loss_and_gradient = on_tensors(loss_and_gradient)
        self.hessian_vector_product = on_tensors(hessian_vector_product)
