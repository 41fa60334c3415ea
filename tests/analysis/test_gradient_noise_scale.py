import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.analysis import gradient_noise_scale
from keras_lbreg.analysis.gradient_noise_scale import noise_and_signal
from tests.analysis.quadratic import linear_model, small_network

SIZE = 5


def problem(samples=4000, noise=1.0):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, SIZE)).astype("float32")
    y = x @ np.ones(SIZE) + noise * rng.normal(size=samples)
    return x, y.astype("float32")[:, None]


def test_a_linear_model_s_gradients():
    x, y = problem()
    gradients = -2 * x * y
    signal = np.sum(gradients.mean(0) ** 2)
    noise = np.trace(np.cov(gradients.T))
    done = []
    found = gradient_noise_scale(
        linear_model(np.zeros(SIZE)),
        x,
        y,
        small_batch=8,
        big_batch=64,
        pairs=200,
        on_progress=done.append,
    )
    assert found.noise == pytest.approx(noise, rel=0.1)
    assert found.signal == pytest.approx(signal, rel=0.1)
    assert found.noise_scale == found.noise / found.signal
    assert found.low < noise / signal < found.high
    assert done == list(range(1, 201))
    assert f"about {found.noise_scale:,.0f} here" in found.advice()


def test_no_signal():
    x, y = problem()
    best = np.linalg.lstsq(x, y[:, 0], rcond=None)[0]
    found = gradient_noise_scale(
        linear_model(best), x, y, small_batch=8, big_batch=64, pairs=40
    )
    # At the minimum the true gradient is zero: what is found is its error.
    assert found.noise_scale > 1000
    assert found.high == np.inf


def test_the_formulas():
    # |G|^2 = 3 and S = 20 give |G_B|^2 = 3 + 20 / B.
    noise, signal = noise_and_signal((3 + 20 / 4, 3 + 20 / 32), 4, 32)
    assert (noise, signal) == pytest.approx((20, 3))


def test_the_same_seed_gives_the_same_number():
    x, y = problem(500)
    model = linear_model(np.zeros(SIZE))

    def measure(seed):
        return gradient_noise_scale(
            model, x, y, small_batch=8, big_batch=64, pairs=3, seed=seed
        ).noise_scale

    assert measure(1) == measure(1) != measure(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"big_batch": 100}, "`big_batch`.*multiple"),
        ({"small_batch": 400}, "`big_batch`"),
        ({"pairs": 0}, "`pairs`"),
        ({"statistics": "x"}, r"`statistics`.*'batch'"),
    ],
)
def test_mistakes(arguments, message):
    x, y = problem(500)
    with pytest.raises(ValueError, match=message):
        gradient_noise_scale(linear_model(np.zeros(SIZE)), x, y, **arguments)


def test_statistics_that_lag_behind():
    model, x, y = small_network()
    settled, _, _ = small_network()
    keras_lbreg.reestimate_batch_norm(settled, x)
    for variable in model.non_trainable_variables:
        if variable.name == "moving_variance":
            variable.assign(variable * 0 + 1e-3)

    def measure(model, statistics):
        return gradient_noise_scale(
            model,
            x,
            y,
            model.loss,
            small_batch=5,
            big_batch=25,
            pairs=4,
            statistics=statistics,
        ).noise

    right = measure(settled, "moving")
    assert measure(model, "estimate") == pytest.approx(right, rel=1e-3)
    assert measure(model, "moving") > 10 * right


def test_each_small_batch_has_statistics_of_its_own():
    model, x, y = small_network()
    found = gradient_noise_scale(
        model, x, y, small_batch=5, big_batch=50, pairs=40
    )
    # By Keras's own training step: the gradient is what SGD takes off.
    point = model.get_weights()
    model.compile(keras.optimizers.SGD(1.0), model.loss)
    small, big = [], []
    generator = np.random.default_rng(3)
    for _ in range(40):
        gradients = []
        for part in np.split(generator.permutation(50), 10):
            model.set_weights(point)
            model.train_on_batch(x[part], y[part])
            moved = model.trainable_variables
            before = [*point[:4], *point[6:]]
            gradients.append(
                np.concatenate(
                    [
                        (old - np.asarray(new)).ravel()
                        for old, new in zip(before, moved, strict=True)
                    ]
                )
            )
        small.append(np.mean(np.sum(np.square(gradients), axis=1)))
        big.append(np.sum(np.square(np.mean(gradients, axis=0))))
    noise, signal = noise_and_signal((np.mean(small), np.mean(big)), 5, 50)
    assert found.noise == pytest.approx(noise, rel=0.1)
    assert found.signal == pytest.approx(signal, rel=0.2)
