"""Keskar et al.'s sharpness of a minimum."""

import dataclasses

import numpy as np

from keras_lbreg.analysis.loss_surface import LossSurface
from keras_lbreg.checks import (
    check_non_negative_int,
    check_positive_int,
    check_positive_number,
    invalid,
)


@dataclasses.dataclass(frozen=True)
class Sharpness:
    """How much the loss rises in a small box around a minimum.

    Args:
        sharpness: `100 (max f - f) / (1 + f)`.
        loss: f at the minimum.
        largest_loss: The largest loss that was found in the box.
        epsilon: Size of the box.
        subspace: Dimension of the random subspace, or `None` for the whole
            space.
        evaluations: Evaluations of loss and gradient.

    Example:

    >>> sharpness(model, x, y).sharpness

    """

    sharpness: float
    loss: float
    largest_loss: float
    epsilon: float
    subspace: int | None
    evaluations: int


def sharpness(
    model,
    x,
    y,
    loss=None,
    epsilon=1e-3,
    subspace=None,
    iterations=10,
    seed=0,
    batch_size=1000,
    on_progress=None,
):
    """How much the loss rises in a box around the model's parameters.

    ```
    φ = 100 (max_{z in C} f(θ + A z) - f(θ)) / (1 + f(θ))
    C = {z : |z_i| <= ε (|(A⁺ θ)_i| + 1)}
    ```

    with A the identity, or a random n x p matrix for a subspace of p
    dimensions. The maximum is sought by L-BFGS-B from the middle of the box,
    as in the paper; since it is no exact maximum, φ is a lower bound. θ is
    seldom quite a minimum: some of φ is then the gradient's.

    Args:
        model: A built `keras.Model`, in inference mode (see `LossSurface`).
        x: Array of inputs; the paper uses the training data.
        y: Array of targets.
        loss: A `keras.losses.Loss` or its name. Defaults to the model's.
        epsilon: ε; the paper has `1e-3` (the default) and `5e-4`.
        subspace: p, the paper has 100; `None` (the default) for the whole
            space.
        iterations: Iterations of L-BFGS-B. Defaults to `10`, as the paper.
        seed: Seed of A.
        batch_size: Samples at a time. Defaults to `1000`.
        on_progress: Optional, called with the number of evaluations so far.

    Returns:
        A `Sharpness`.

    Raises:
        ValueError: An argument is out of its range, or the loss is not finite.

    Example:

    >>> sharpness(model, x_train, y_train, epsilon=5e-4).sharpness
    31.4

    Reference:

    - [Keskar et al., 2017](https://arxiv.org/abs/1609.04836), Metric 2.1
    """
    # Not above: SciPy takes longer to import than all the rest.
    import scipy.linalg
    import scipy.optimize

    check_positive_number("epsilon", epsilon)
    check_positive_int("iterations", iterations)
    check_non_negative_int("seed", seed)
    surface = LossSurface(model, x, y, loss, batch_size)
    theta = surface.point()
    here = surface.loss(theta)
    if not np.isfinite(here):
        raise ValueError(
            "The loss is not finite at this model's weights. Expected a model "
            f"whose training has not diverged. Received: loss={here}"
        )
    inside, basis = theta, None
    if subspace is not None:
        check_positive_int("subspace", subspace)
        if subspace > surface.size:
            expected = f"at most the number of parameters, {surface.size}"
            raise invalid("subspace", expected, subspace)
        generator = np.random.default_rng(seed)
        basis = generator.standard_normal((surface.size, subspace), "float32")
        # A⁺ = (Aᵀ A)⁻¹ Aᵀ; the columns of A are nearly orthogonal.
        square = (basis.T @ basis).astype("float64")
        inside = pull(basis, theta)
        inside = scipy.linalg.solve(square, inside, assume_a="pos")
    bound = epsilon * (np.abs(inside) + 1)
    largest, count = here, 0

    def negative(z):
        nonlocal largest, count
        step = z if basis is None else basis @ z.astype("float32")
        value, gradient = surface.loss_and_gradient(theta + step)
        count += 1
        if on_progress is not None:
            on_progress(count)
        if np.isfinite(value):
            largest = max(largest, value)
        return -value, -pull(basis, gradient)

    scipy.optimize.minimize(
        negative,
        np.zeros(len(bound)),
        jac=True,
        method="L-BFGS-B",
        bounds=scipy.optimize.Bounds(-bound, bound),
        options={"maxiter": iterations},
    )
    rise = 100 * (largest - here) / (1 + here)
    return Sharpness(rise, here, largest, epsilon, subspace, count)


def pull(basis, vector):
    """Aᵀ times a vector."""
    if basis is None:
        return vector
    return (basis.T @ vector.astype("float32")).astype("float64")
