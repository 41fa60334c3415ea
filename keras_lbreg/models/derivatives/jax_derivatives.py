"""Derivatives of a loss, compiled by JAX."""

import jax
import jax.numpy as jnp


class JaxDerivatives:
    """Loss, gradient and Hessian-vector product of one batch.

    Args:
        function: `function(point, frozen, x, y)` returns the loss; `point` and
            `frozen` are lists of arrays, of which `point` is varied.

    Each method returns a list of arrays. The Hessian-vector product is the
    derivative of the gradient along the vector, forward over reverse mode.

    Example:

    >>> derivatives = JaxDerivatives(
    ...     lambda point, frozen, x, y: (point[0] ** 2).sum()
    ... )

    Reference: https://docs.jax.dev/en/latest/notebooks/autodiff_cookbook.html
    """

    def __init__(self, function):
        @jax.jit
        def loss(point, frozen, x, y):
            return [function(point, frozen, x, y)]

        @jax.jit
        def loss_and_gradient(point, frozen, x, y):
            value, gradient = jax.value_and_grad(function)(point, frozen, x, y)
            return [value, *gradient]

        @jax.jit
        def squared_gradient(point, total, frozen, x, y):
            gradient = jax.grad(function)(point, frozen, x, y)
            return [
                squared_length(gradient),
                *[t + g for t, g in zip(total, gradient, strict=True)],
            ]

        @jax.jit
        def hessian_vector_product(point, vector, frozen, x, y):
            def gradient(point):
                return jax.grad(function)(point, frozen, x, y)

            return jax.jvp(gradient, (point,), (vector,))[1]

        self.loss = loss
        self.loss_and_gradient = loss_and_gradient
        self.squared_gradient = squared_gradient
        self.squared_length = jax.jit(squared_length)
        self.hessian_vector_product = hessian_vector_product


def squared_length(arrays):
    return sum(jnp.sum(jnp.square(array)) for array in arrays)
