"""The largest eigenvalue of the loss's Hessian."""

import dataclasses

import numpy as np

from keras_lbreg.analysis.loss_surface import LossSurface
from keras_lbreg.checks import (
    check_non_negative_int,
    check_positive_int,
    check_positive_number,
)


@dataclasses.dataclass(frozen=True)
class TopEigenvalue:
    """The sharpest direction of a minimum.

    Args:
        eigenvalue: The largest eigenvalue, λ.
        eigenvector: Its direction of length 1, a flat vector.
        residual: `||H v - λ v||`, at most the tolerance times |λ| or so.
        products: Hessian-vector products it took.

    Example:

    >>> hessian_top_eigenvalue(model, x, y).eigenvalue

    """

    eigenvalue: float
    eigenvector: np.ndarray
    residual: float
    products: int


def hessian_top_eigenvalue(
    model,
    x,
    y,
    loss=None,
    tolerance=1e-3,
    max_iterations=100,
    seed=0,
    batch_size=1000,
    on_progress=None,
):
    """The largest eigenvalue of the Hessian of the mean loss.

    ```
    λ = max over ||v|| = 1 of v^T H v,    H = ∂²f/∂θ²
    ```

    Gradient descent at a learning rate η is stable along a direction only
    where its eigenvalue is below 2/η, so that a large λ is a sharp minimum.
    H is never formed: SciPy's Lanczos iteration asks for its products with
    vectors, each of which costs about two gradients over the data. It
    converges faster than plain power iteration, and to the largest eigenvalue
    even where a negative one is larger in size.

    Args:
        model: A built `keras.Model`, in inference mode (see `LossSurface`).
        x: Array of inputs.
        y: Array of targets.
        loss: A `keras.losses.Loss` or its name. Defaults to the model's.
        tolerance: Relative accuracy of λ. Defaults to `1e-3`.
        max_iterations: Most restarts of the iteration. Defaults to `100`.
        seed: Seed of the first vector.
        batch_size: Samples at a time. Defaults to `1000`.
        on_progress: Optional, called with the number of products so far.

    Returns:
        A `TopEigenvalue`.

    Raises:
        ValueError: An argument is out of its range, or the loss or its
            curvature is not finite.
        RuntimeError: The iteration has not converged.

    Example:

    >>> result = hessian_top_eigenvalue(model, x_train[:5000], y_train[:5000])
    >>> result.eigenvalue
    42.7

    Reference:

    - Lanczos iteration: https://docs.scipy.org/doc/scipy/reference/generated/scipy.sparse.linalg.eigsh.html
    - Hessian-vector products: Pearlmutter, 1994
    """
    # Not above: SciPy takes longer to import than all the rest.
    import scipy.sparse.linalg

    check_positive_number("tolerance", tolerance)
    check_positive_int("max_iterations", max_iterations)
    check_non_negative_int("seed", seed)
    surface = LossSurface(model, x, y, loss, batch_size)
    theta = surface.point()
    count = 0

    def product(vector):
        nonlocal count
        result = surface.hessian_vector_product(theta, vector.reshape(-1))
        result = np.atleast_1d(result)
        if not np.all(np.isfinite(result)):
            raise ValueError(
                "The curvature of the loss is not finite at this model's "
                "weights. Expected a model whose training has not diverged."
            )
        count += 1
        if on_progress is not None:
            on_progress(count)
        return result

    first = np.random.default_rng(seed).standard_normal(surface.size)
    if surface.size < 3:
        # Lanczos needs a space of more dimensions than it looks for.
        dense = np.stack([product(v) for v in np.eye(surface.size)])
        values, vectors = np.linalg.eigh((dense + dense.T) / 2)
        value, vector = values[-1], vectors[:, -1]
    else:
        operator = scipy.sparse.linalg.LinearOperator(
            (surface.size, surface.size), matvec=product, dtype="float64"
        )
        try:
            values, vectors = scipy.sparse.linalg.eigsh(
                operator,
                k=1,
                which="LA",
                v0=first,
                tol=tolerance,
                maxiter=max_iterations,
            )
        except scipy.sparse.linalg.ArpackNoConvergence as error:
            raise RuntimeError(
                f"No eigenvalue after {count} Hessian-vector products. "
                "Expected convergence: raise `tolerance` or "
                f"`max_iterations`. Received: tolerance={tolerance}, "
                f"max_iterations={max_iterations}"
            ) from error
        value, vector = values[0], vectors[:, 0]
    residual = np.linalg.norm(product(vector) - value * vector)
    return TopEigenvalue(float(value), vector, float(residual), count)
