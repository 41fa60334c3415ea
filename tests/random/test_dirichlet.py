import numpy as np
import pytest
from scipy import stats

from keras_lbreg.random.counter_based import make_key
from keras_lbreg.random.mixing_weights import dirichlet


def draw(groups, concentration, steps, stream=0, seed=1):
    return np.stack(
        [
            dirichlet(
                make_key(seed, step, np), groups, concentration, stream, np
            )
            for step in range(steps)
        ]
    )


@pytest.mark.parametrize("concentration", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("groups", [2, 5])
def test_each_weight_has_a_beta_law(groups, concentration):
    weights = draw(groups, concentration, 2000)
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-5)
    beta = stats.beta(concentration, (groups - 1) * concentration)
    for k in range(groups):
        assert stats.kstest(weights[:, k], beta.cdf).pvalue > 1e-3


@pytest.mark.parametrize("concentration", [0.01, 0.1, 1.0, 100.0, 1e6])
@pytest.mark.parametrize("groups", [2, 16, 300])
def test_moments(groups, concentration):
    weights = draw(groups, concentration, 600).astype("float64")
    assert np.isfinite(weights).all()
    assert weights.min() >= 0
    variance = (groups - 1) / (groups**2 * (groups * concentration + 1))
    deviation = weights - 1 / groups
    # Four standard errors of the pooled second moment.
    squared = (deviation**2).mean(1)
    error = squared.std() / np.sqrt(len(squared))
    assert squared.mean() == pytest.approx(variance, abs=4 * error)
    error = weights[:, 0].std() / np.sqrt(len(weights))
    assert weights[:, 0].mean() == pytest.approx(1 / groups, abs=4 * error)
    # The weights of a symmetric law with a fixed sum repel each other evenly.
    if groups == 16 and concentration == 1.0:
        correlation = np.corrcoef(weights.T)[~np.eye(groups, dtype=bool)]
        assert correlation.mean() == pytest.approx(-1 / 15, abs=0.01)


def test_tiny_concentration_chooses_one_group():
    weights = draw(8, 0.001, 200)
    assert np.median(weights.max(1)) > 0.999
    assert len(set(weights.argmax(1))) == 8


def test_huge_concentration_averages():
    np.testing.assert_allclose(draw(8, 1e10, 20), 1 / 8, rtol=1e-3)


def test_one_group_has_all_the_weight():
    np.testing.assert_array_equal(draw(1, 0.5, 5), 1.0)


def test_steps_streams_and_seeds_are_independent():
    reference = draw(2, 1.0, 1000)[:, 0]
    others = (
        np.roll(reference, 1),
        draw(2, 1.0, 1000, stream=1)[:, 0],
        draw(2, 1.0, 1000, seed=2)[:, 0],
    )
    for other in others:
        assert abs(np.corrcoef(reference, other)[0, 1]) < 4 / np.sqrt(1000)
