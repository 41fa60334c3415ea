"""The square-root rule of adaptive optimizers, and the rule of averages."""

import keras
import numpy as np
import pytest

import keras_lbreg as lbreg


def test_formula():
    # Malladi et al. 2022, Definition 5.1, at k = 4.
    scaled = lbreg.scale_adam(
        1e-3, 128, 512, beta_1=0.9, beta_2=0.98, epsilon=2e-8
    )
    assert scaled == {
        "learning_rate": pytest.approx(2e-3, rel=1e-12),
        "beta_1": pytest.approx(0.6, rel=1e-12),
        "beta_2": pytest.approx(0.92, rel=1e-12),
        "epsilon": pytest.approx(1e-8, rel=1e-12),
    }


def test_there_and_back():
    there = lbreg.scale_adam(1e-3, 64, 256, beta_1=0.9, beta_2=0.99)
    lr = there.pop("learning_rate")
    back = lbreg.scale_adam(lr, 256, 64, **there)
    assert back == pytest.approx(
        {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-7}
    )


def test_a_decay_below_zero_is_none():
    assert lbreg.scale_adam(1e-3, 1, 32)["beta_1"] == 0


def test_momentum_of_an_average():
    assert lbreg.scale_momentum(0.9, 10, 20) == pytest.approx(0.81)
    # An average of a constant gets there after as many samples.
    left = {k: lbreg.scale_momentum(0.99, 1, k) ** (64 // k) for k in (1, 4)}
    assert left[4] == pytest.approx(left[1], rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lbreg.scale_adam(0.0, 1, 2), "`base_lr`"),
        (lambda: lbreg.scale_adam(0.1, 0, 2), "`base_batch`"),
        (lambda: lbreg.scale_adam(0.1, 1, 2, beta_2=1.0), "`beta_2`"),
        (lambda: lbreg.scale_adam(0.1, 1, 2, epsilon=0), "`epsilon`"),
        (lambda: lbreg.scale_momentum(1.0, 1, 2), "`momentum`"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def positions(samples, batch, **settings):
    """Where 4,000 weights are that Adam has moved, each by noise of its own.

    The loss is `x^2 / 2`, and a sample's gradient has a noise of 30: much
    more than the gradient, which the rule is for.
    """
    rng = np.random.default_rng(batch)
    x = keras.Variable(np.full(4000, 0.5, "float32"))
    optimizer = keras.optimizers.Adam(**settings)
    optimizer.build([x])
    for _ in range(samples // batch):
        noise = rng.normal(0, 30 / batch**0.5, 4000).astype("float32")
        optimizer.apply([x.value + noise], [x])
    return keras.ops.convert_to_numpy(x)


def test_small_and_large_batches_follow_the_same_distribution():
    small = {"learning_rate": 5e-3, "beta_1": 0.9, "beta_2": 0.96}
    k, samples = 8, 1536
    rule = lbreg.scale_adam(small["learning_rate"], 1, k, 0.9, 0.96)
    linear = {**small, "learning_rate": k * small["learning_rate"]}
    expected = positions(samples, 1, **small)
    scaled = positions(samples, k, **rule)
    too_far = positions(samples, k, **linear)
    assert scaled.mean() == pytest.approx(expected.mean(), abs=0.05)
    assert scaled.std() == pytest.approx(expected.std(), rel=0.1)
    # The linear rule spreads the weights about twice as far.
    assert too_far.std() > 1.7 * expected.std()
