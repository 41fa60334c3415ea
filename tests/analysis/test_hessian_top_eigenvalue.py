import numpy as np
import pytest

from keras_lbreg.analysis import LossSurface, hessian_top_eigenvalue
from tests.analysis.quadratic import linear_model, regression, small_network


def test_a_quadratic():
    x, y = regression()
    counts = []
    found = hessian_top_eigenvalue(
        linear_model(np.ones(6)),
        x,
        y,
        tolerance=1e-6,
        on_progress=counts.append,
    )
    hessian = 2 * x.T.astype("float64") @ x / len(x)
    values, vectors = np.linalg.eigh(hessian)
    assert found.eigenvalue == pytest.approx(values[-1], rel=1e-5)
    assert abs(found.eigenvector @ vectors[:, -1]) == pytest.approx(1, abs=1e-4)
    assert found.residual < 1e-4 * found.eigenvalue
    assert counts == list(range(1, found.products + 1))


@pytest.mark.parametrize("size", [1, 2])
def test_spaces_too_small_for_the_iteration(size):
    x, y = regression(size=size)
    found = hessian_top_eigenvalue(linear_model(np.ones(size)), x, y)
    hessian = 2 * x.T.astype("float64") @ x / len(x)
    top = np.linalg.eigvalsh(hessian)[-1]
    assert found.eigenvalue == pytest.approx(top, rel=1e-4)


def test_a_network_against_its_dense_hessian():
    model, x, y = small_network()
    surface = LossSurface(model, x, y)
    theta = surface.point()
    dense = np.stack(
        [surface.hessian_vector_product(theta, u) for u in np.eye(surface.size)]
    )
    values = np.linalg.eigvalsh((dense + dense.T) / 2)
    # An untrained network curves downwards too.
    assert values[0] < 0
    found = hessian_top_eigenvalue(model, x, y, tolerance=1e-5)
    assert found.eigenvalue == pytest.approx(values[-1], rel=1e-3)


def test_weights_that_are_not_finite():
    x, y = regression()
    model = linear_model(np.full(6, np.nan))
    # The Hessian of a squared loss does not depend on the weights: the inputs
    # have to be damaged too.
    with pytest.raises(ValueError, match="curvature of the loss is not finite"):
        hessian_top_eigenvalue(model, x * np.nan, y)


@pytest.mark.parametrize("argument", ["tolerance", "max_iterations"])
def test_mistakes(argument):
    x, y = regression()
    with pytest.raises(ValueError, match=argument):
        hessian_top_eigenvalue(linear_model(np.ones(6)), x, y, **{argument: 0})
