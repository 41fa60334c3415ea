import keras
import numpy as np
import pytest
from scipy import stats

from keras_lbreg.optimizers import GradientNoise
from tests.checks.replicas import compiled, fit, train, weights

ALPHA, GAMMA = 0.04, 0.55


def sigma(t):
    return np.sqrt(ALPHA / (1.0 + t) ** GAMMA)


def noise_of_updates(steps, size=40_000, **kwargs):
    """The noise of the first updates, seen through SGD with rate 1."""
    optimizer = GradientNoise(
        keras.optimizers.SGD(1.0), ALPHA, GAMMA, seed=1, **kwargs
    )
    variable = keras.Variable(np.zeros(size, "float32"))
    noises = []
    for _ in range(steps):
        before = np.array(variable)
        optimizer.apply([keras.ops.zeros(size)], [variable])
        noises.append(before - np.array(variable))
    return noises


def test_noise_has_the_annealed_normal_law():
    noises = noise_of_updates(4)
    for t, noise in enumerate(noises):
        assert noise.mean() == pytest.approx(0.0, abs=4 * sigma(t) / 200)
        assert stats.kstest(noise / sigma(t), "norm").pvalue > 1e-3
    # 4 standard errors of a correlation of 40,000 pairs
    assert np.abs(np.corrcoef(noises) - np.eye(4)).max() < 4 / 200


def test_stddev_is_the_formula():
    optimizer = GradientNoise("sgd", ALPHA, GAMMA)
    for t in (0, 1, 1000):
        assert float(optimizer.stddev(t)) == pytest.approx(sigma(t), rel=1e-5)


def test_variance_is_that_of_optax():
    optax = pytest.importorskip("optax")
    jnp = pytest.importorskip("jax.numpy")
    peer = optax.add_noise(eta=ALPHA, gamma=GAMMA, key=0)
    state = peer.init(jnp.zeros(40_000))
    for ours in noise_of_updates(3):
        theirs, state = peer.update(jnp.zeros(40_000), state)
        # Relative standard error of a variance: sqrt(2 / 40,000).
        assert ours.var() == pytest.approx(float(theirs.var()), rel=0.04)


SIZES = (20_000, 10_000)


def noise_on_replicas(replicas, steps=4):
    """What each replica's variables gained: (replica, step, element)."""
    import tensorflow as tf

    from tests.checks.replicas import mirrored_strategy

    strategy = mirrored_strategy(replicas)
    with strategy.scope():
        variables = [keras.Variable(np.zeros(n, "float32")) for n in SIZES]
        optimizer = GradientNoise(
            keras.optimizers.SGD(1.0), ALPHA, GAMMA, seed=1
        )
        optimizer.build(variables)

    def apply():
        optimizer.apply([tf.zeros(n) for n in SIZES], variables)

    step = tf.function(lambda: strategy.run(apply), autograph=False)

    def values():
        local = [
            strategy.experimental_local_results(v.value) for v in variables
        ]
        return np.stack(
            [
                np.concatenate([part.numpy() for part in parts])
                for parts in zip(*local, strict=True)
            ]
        )

    points = [values()]
    for _ in range(steps):
        step()
        points.append(values())
    return np.diff(points, axis=0).swapaxes(0, 1)


@pytest.fixture(scope="module")
def noise_of_one_replica():
    return noise_on_replicas(1)[0]


@pytest.mark.tensorflow
@pytest.mark.parametrize("replicas", [1, 2, 4, 8])
def test_noise_has_stddev_sigma_and_is_equal_on_all_replicas(
    noise_of_one_replica, replicas
):
    noises = noise_on_replicas(replicas)
    assert noises.shape == (replicas, 4, sum(SIZES))
    for noise in noises:
        np.testing.assert_array_equal(noise, noise_of_one_replica)
    for t, noise in enumerate(noises[0]):
        # n s^2 / sigma^2 has the chi-squared law with n degrees of freedom.
        energy = np.sum((noise.astype("float64") / sigma(t)) ** 2)
        p = stats.chi2(noise.size).cdf(energy)
        assert 1e-3 < p < 1 - 1e-3


@pytest.mark.tensorflow
def test_noise_is_independent_across_steps_variables_and_elements(
    noise_of_one_replica,
):
    size = SIZES[1]
    first, second = (
        noise_of_one_replica[:, :size],
        noise_of_one_replica[:, -size:],
    )
    rows = np.concatenate([first, second])  # steps of one, then of the other
    pairs = [(a, b) for i, a in enumerate(rows) for b in rows[:i]]
    pairs += [(row[:-1], row[1:]) for row in rows]  # neighbours
    pairs += [(row[::2], row[1::2]) for row in rows]
    pairs += [(row[: size // 2], row[size // 2 :]) for row in rows]
    p_values = [
        stats.pearsonr(transform(a), transform(b)).pvalue
        for a, b in pairs
        for transform in (np.asarray, np.square)
    ]
    # Under independence the smallest of n is below 1e-3 / n once in 1,000.
    assert min(p_values) > 1e-3 / len(p_values)
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_alpha_zero_is_the_inner_optimizer():
    np.testing.assert_array_equal(
        train(lambda: GradientNoise(keras.optimizers.SGD(0.1), alpha=0.0)),
        train(lambda: keras.optimizers.SGD(0.1)),
    )


def test_variables_and_seeds_get_noise_of_their_own():
    def noises(seed):
        first, second = (
            keras.Variable(np.zeros(8, "float32")) for _ in range(2)
        )
        optimizer = GradientNoise(keras.optimizers.SGD(1.0), 1.0, seed=seed)
        optimizer.apply([keras.ops.zeros(8)] * 2, [first, second])
        return np.array(first), np.array(second)

    first, second = noises(1)
    assert np.abs(first - second).min() > 0
    np.testing.assert_array_equal(noises(1)[0], first)
    assert np.abs(noises(2)[0] - first).min() > 0
    assert np.abs(noises(None)[0] - noises(None)[0]).min() > 0

    def default_noise():
        keras.utils.set_random_seed(5)
        return noises(None)[0]

    np.testing.assert_array_equal(default_noise(), default_noise())


def test_accumulation_draws_noise_once_for_each_update():
    optimizer = GradientNoise(
        keras.optimizers.SGD(1.0, gradient_accumulation_steps=4),
        ALPHA,
        GAMMA,
        seed=1,
    )
    variable = keras.Variable(np.zeros(40_000, "float32"))
    for update in range(2):
        before = np.array(variable)
        for _ in range(4):
            np.testing.assert_array_equal(np.array(variable), before)
            optimizer.apply([keras.ops.zeros(40_000)], [variable])
        noise = before - np.array(variable)
        np.testing.assert_allclose(
            noise, noise_of_updates(update + 1)[update], atol=1e-6
        )


@pytest.mark.parametrize("seed", [5, None])
@pytest.mark.parametrize(
    "inner",
    [
        lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        lambda: keras.optimizers.Adam(0.01),
    ],
    ids=["momentum", "adam"],
)
def test_loaded_run_continues_bit_for_bit(tmp_path, inner, seed):
    def noisy():
        return GradientNoise(inner(), alpha=0.01, seed=seed)

    model = compiled(noisy)
    fit(model, epochs=1)
    model.save(tmp_path / "model.keras")
    fit(model, epochs=1)

    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is GradientNoise
    fit(loaded, epochs=1)
    np.testing.assert_array_equal(weights(loaded), weights(model))


def test_weights_file_carries_a_random_seed(tmp_path):
    first = compiled(lambda: GradientNoise("adam", alpha=0.01))
    second = compiled(lambda: GradientNoise("adam", alpha=0.01, seed=5))
    fit(first)
    first.save_weights(tmp_path / "a.weights.h5")
    second.load_weights(tmp_path / "a.weights.h5")
    fit(first)
    fit(second)
    np.testing.assert_array_equal(weights(first), weights(second))


def test_half_precision_variables():
    optimizer = GradientNoise(keras.optimizers.SGD(1.0), alpha=0.01, seed=1)
    variable = keras.Variable(np.zeros(1000, "float16"), dtype="float16")
    optimizer.apply([keras.ops.zeros(1000, dtype="float16")], [variable])
    noise = np.array(variable)
    assert noise.dtype == np.float16
    assert noise.astype("float32").std() == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("argument", ["alpha", "gamma"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_invalid_schedule(argument, value):
    with pytest.raises(ValueError, match=f"argument `{argument}`"):
        GradientNoise("sgd", **{argument: value})


@pytest.mark.parametrize("seed", [-1, 2**31, 1.5, True, "1"])
def test_invalid_seed(seed):
    with pytest.raises(ValueError, match="argument `seed`"):
        GradientNoise("sgd", seed=seed)
