import numpy as np
import pytest

from keras_lbreg.analysis import sharpness
from tests.analysis.quadratic import linear_model

# f(w) = mean((2 (w - W))^2): its maximum over a box is at a corner.
W = np.array([1.0, -2.0, 0.5, 3.0])
X = 2 * np.eye(4, dtype="float32")
Y = (X @ W).astype("float32")[:, None]


def test_the_whole_space():
    epsilon, off = 0.1, 1e-3
    start = W + off
    found = sharpness(linear_model(start), X, Y, epsilon=epsilon, iterations=50)
    bound = epsilon * (np.abs(start) + 1)
    here = (2 * off) ** 2
    largest = np.mean((2 * (bound + off)) ** 2)
    assert found.loss == pytest.approx(here, rel=1e-2)
    assert found.largest_loss == pytest.approx(largest, rel=1e-3)
    expected = 100 * (largest - here) / (1 + here)
    assert found.sharpness == pytest.approx(expected, rel=1e-3)
    assert found.subspace is None


def test_a_line_through_the_minimum():
    """One random direction a: f(W + z a) - f(W) is (2 z)^2 mean(a^2)."""
    epsilon, seed = 0.1, 3
    start = W + 1e-3
    found = sharpness(
        linear_model(start), X, Y, epsilon=epsilon, subspace=1, seed=seed
    )
    a = np.random.default_rng(seed).standard_normal(4, "float32")
    inside = start @ a / (a @ a)
    z = epsilon * (abs(inside) + 1)
    largest = max(
        np.mean((2 * (start + sign * z * a - W)) ** 2) for sign in (-1, 1)
    )
    assert found.largest_loss == pytest.approx(largest, rel=1e-3)
    assert found.subspace == 1


def test_a_larger_box_is_higher():
    model = linear_model(W + 1e-3)
    values = [sharpness(model, X, Y, epsilon=e).sharpness for e in (5e-4, 1e-3)]
    assert 0 < values[0] < values[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 0}, "`epsilon`"),
        ({"iterations": 0}, "`iterations`"),
        ({"subspace": 5}, "`subspace`.*number of parameters, 4"),
        ({"subspace": 0}, "`subspace`"),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(ValueError, match=message):
        sharpness(linear_model(W), X, Y, **arguments)


def test_a_diverged_model():
    with pytest.raises(ValueError, match="loss is not finite"):
        sharpness(linear_model(W * np.nan), X, Y)
