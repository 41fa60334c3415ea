import keras
import numpy as np
import pytest

from keras_lbreg.analysis import LossSurface
from tests.analysis.quadratic import linear_model, regression, small_network


def test_loss_and_gradient_of_a_quadratic():
    x, y = regression()
    w = np.linspace(-1, 1, 6)
    surface = LossSurface(linear_model(w), x, y, batch_size=64)
    residual = x @ w - y[:, 0]
    loss, gradient = surface.loss_and_gradient(w)
    assert loss == pytest.approx(np.mean(residual**2), rel=1e-5)
    assert surface.loss(w) == pytest.approx(loss, rel=1e-6)
    expected = 2 * x.T @ residual / len(x)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4)
    part = np.array([3, 100, 7])
    expected = 2 * x[part].T @ residual[part] / 3
    np.testing.assert_allclose(
        surface.gradient_of(w, part), expected, rtol=1e-4
    )


def test_the_batch_size_changes_nothing():
    model, x, y = small_network()
    whole = LossSurface(model, x, y)
    parts = LossSurface(model, x, y, batch_size=17)
    theta = whole.point()
    assert parts.loss(theta) == pytest.approx(whole.loss(theta), rel=1e-5)
    assert whole.loss(theta) == pytest.approx(
        model.evaluate(x, y, verbose=0)[0], rel=1e-5
    )
    np.testing.assert_allclose(
        parts.loss_and_gradient(theta)[1],
        whole.loss_and_gradient(theta)[1],
        atol=1e-6,
    )


def test_products_are_those_of_the_dense_hessian():
    model, x, y = small_network()
    surface = LossSurface(model, x, y)
    theta = surface.point()
    units = np.eye(surface.size)
    products = [surface.hessian_vector_product(theta, u) for u in units]
    step = 1e-2
    differences = [
        (
            surface.loss_and_gradient(theta + step * u)[1]
            - surface.loss_and_gradient(theta - step * u)[1]
        )
        / (2 * step)
        for u in units
    ]
    np.testing.assert_allclose(products, differences, atol=2e-3)
    np.testing.assert_allclose(products, np.transpose(products), atol=1e-5)


def test_the_model_is_left_as_it_is():
    model, x, y = small_network()
    before = model.get_weights()
    surface = LossSurface(model, x, y)
    surface.loss_and_gradient(surface.point() + 1)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_mistakes():
    x, y = regression()
    model = linear_model(np.ones(6))
    with pytest.raises(ValueError, match=r"arrays of .3, 200. samples"):
        LossSurface(model, x, y[:3])
    with pytest.raises(ValueError, match="at least one sample"):
        LossSurface(model, x[:0], y[:0])
    with pytest.raises(ValueError, match=r"`batch_size`.*batch_size=0"):
        LossSurface(model, x, y, batch_size=0)
    plain = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(1, use_bias=False)]
    )
    with pytest.raises(ValueError, match=r"`loss`.*compiled with one"):
        LossSurface(plain, x, y)
    assert LossSurface(plain, x, y, loss="mse").size == 6
