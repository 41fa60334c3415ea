"""Derivatives of a loss, compiled by JAX."""

import jax


class JaxDerivatives:
    """Loss, gradient and Hessian-vector product of one batch.

    Args:
        function: `function(point, x, y)` returns the loss; `point` is a list
            of arrays.

    Each method returns a list of arrays. The Hessian-vector product is the
    derivative of the gradient along the vector, forward over reverse mode.

    Example:

    >>> derivatives = JaxDerivatives(lambda point, x, y: (point[0] ** 2).sum())

    Reference: https://docs.jax.dev/en/latest/notebooks/autodiff_cookbook.html
    """

    def __init__(self, function):
        @jax.jit
        def loss(point, x, y):
            return [function(point, x, y)]

        @jax.jit
        def loss_and_gradient(point, x, y):
            value, gradient = jax.value_and_grad(function)(point, x, y)
            return [value, *gradient]

        @jax.jit
        def hessian_vector_product(point, vector, x, y):
            def gradient(point):
                return jax.grad(function)(point, x, y)

            return jax.jvp(gradient, (point,), (vector,))[1]

        self.loss = loss
        self.loss_and_gradient = loss_and_gradient
        self.hessian_vector_product = hessian_vector_product
