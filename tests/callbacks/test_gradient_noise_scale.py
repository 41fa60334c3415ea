"""`GradientNoiseScale` against per-sample gradients known in closed form."""

import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.analysis import LossSurface
from tests.analysis.quadratic import linear_model, small_network

SIZE = 5
SAMPLES = 256


def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, SIZE)).astype("float32")
    y = x @ np.ones(SIZE) + rng.normal(size=SAMPLES)
    return x, y.astype("float32")[:, None]


def model_at(weights, learning_rate=0.0, **options):
    model = linear_model(weights)
    model.compile(keras.optimizers.SGD(learning_rate), "mse", **options)
    return model


def fit(model, callbacks, epochs=1, **options):
    x, y = problem()
    options = {"batch_size": 32, "shuffle": False, **options}
    return model.fit(
        x, y, epochs=epochs, verbose=0, callbacks=callbacks, **options
    ).history


def per_sample_gradients(weights):
    x, y = problem()
    return 2 * x * (x @ np.reshape(weights, (SIZE, 1)) - y)


def noise_and_signal(weights):
    """S and |G|^2 of the distribution of which the samples are drawn.

    |mean|^2 of N samples is S / N too large.
    """
    gradients = per_sample_gradients(weights)
    noise = np.trace(np.cov(gradients.T))
    return noise, np.sum(gradients.mean(0) ** 2) - noise / SAMPLES


def test_a_linear_model_s_gradients():
    start = np.zeros(SIZE)
    noise = keras_lbreg.GradientNoiseScale(
        problem(), small_batch=8, big_batch=SAMPLES, pairs=4, decay=0.9
    )
    history = fit(model_at(start), [noise], epochs=5)
    s, signal = noise_and_signal(start)
    # The big batch is the whole of the data: all error is that of |G_s|^2.
    assert history["gradient_noise"][-1] == pytest.approx(s, rel=0.05)
    assert history["gradient_signal"][-1] == pytest.approx(signal, rel=0.01)
    found = history["gradient_noise_scale"][-1]
    assert found == pytest.approx(s / signal, rel=0.06)
    assert found == noise.noise_scales[-1]
    assert noise.updates == [8, 16, 24, 32, 40]
    assert f"about {found:,.0f} here" in noise.advice()


def test_single_measurements_are_those_of_the_weights_at_that_time():
    seen = []
    model = model_at(np.zeros(SIZE), learning_rate=0.02)
    noise = keras_lbreg.GradientNoiseScale(
        problem(), small_batch=8, big_batch=SAMPLES, pairs=6, decay=0
    )

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.get_weights()[0])

    fit(model, [Watch(), noise], epochs=2)
    expected = [noise_and_signal(weights) for weights in seen]
    np.testing.assert_allclose(
        np.transpose([noise.noises, noise.signals]), expected, rtol=0.15
    )
    assert noise.noise_scales == [
        n / s for n, s in zip(noise.noises, noise.signals, strict=True)
    ]


def test_training_goes_the_same_way():
    ends = []
    for measures in (False, True):
        model, x, y = small_network()
        noise = keras_lbreg.GradientNoiseScale((x, y), 5, 25, frequency=1)
        model.fit(
            x,
            y,
            epochs=2,
            shuffle=False,
            verbose=0,
            callbacks=[noise] if measures else [],
        )
        ends.append(model.get_weights())
    for without, with_it in zip(*ends, strict=True):
        np.testing.assert_array_equal(without, with_it)


@pytest.mark.parametrize("statistics", ["moving", "estimate"])
def test_statistics_are_taken_anew(statistics):
    model, x, y = small_network()
    noise = keras_lbreg.GradientNoiseScale(
        (x, y),
        small_batch=25,
        big_batch=50,
        pairs=1,
        frequency=1,
        statistics=statistics,
    )
    model.fit(x, y, epochs=2, batch_size=25, verbose=0, callbacks=[noise])
    assert noise.updates == [1, 2, 3, 4]
    surface = LossSurface(model, x, y, statistics=statistics)
    gradient = surface.loss_and_gradient(surface.point())[1]
    # |G_b|^2 = |G|^2 + S / B_b is that of the whole data here.
    found = noise.signals[-1] + noise.noises[-1] / 50
    assert found == pytest.approx(gradient @ gradient, rel=1e-3)


def test_by_default_each_small_batch_has_statistics_of_its_own():
    def measure(moving_variance):
        model, x, y = small_network()
        for variable in model.non_trainable_variables:
            if variable.name == "moving_variance":
                variable.assign(variable * 0 + moving_variance)
        model.compile(keras.optimizers.SGD(0.0), model.loss)
        noise = keras_lbreg.GradientNoiseScale(
            (x, y), small_batch=5, big_batch=25
        )
        model.fit(x, y, batch_size=25, verbose=0, callbacks=[noise])
        return noise.noises

    assert measure(1.0) == measure(1e-3)


def test_every_so_many_updates():
    noise = keras_lbreg.GradientNoiseScale(problem(), frequency=3)
    fit(model_at(np.zeros(SIZE)), [noise], epochs=2)
    assert noise.updates == [3, 6, 9, 12, 15]


def test_several_steps_at_once():
    noise = keras_lbreg.GradientNoiseScale(problem(), frequency=2)
    model = model_at(np.zeros(SIZE), steps_per_execution=4)
    fit(model, [noise], epochs=2)
    assert noise.updates == [4, 8, 12, 16]


def test_an_epoch_shorter_than_the_frequency_is_measured_at_its_end():
    noise = keras_lbreg.GradientNoiseScale(problem(), frequency=100)
    history = fit(model_at(np.zeros(SIZE)), [noise], epochs=2)
    assert noise.updates == [8]
    assert len(history["gradient_noise_scale"]) == 2


def test_a_run_that_goes_on_measures_the_same(tmp_path):
    def make():
        return keras_lbreg.GradientNoiseScale(problem(), pairs=1, seed=3)

    whole = make()
    fit(model_at(np.zeros(SIZE), 0.01), [whole], epochs=4)
    first, second = make(), make()
    model = model_at(np.zeros(SIZE), 0.01)
    fit(model, [first], epochs=2)
    np.savez(tmp_path / "state.npz", **first.get_state())
    with np.load(tmp_path / "state.npz") as state:
        second.set_state(state)
    fit(model, [second], epochs=4, initial_epoch=2)
    assert second.updates == whole.updates == [8, 16, 24, 32]
    np.testing.assert_allclose(second.noises, whole.noises, rtol=1e-6)
    np.testing.assert_allclose(
        second.noise_scales, whole.noise_scales, rtol=1e-6
    )


def test_other_callbacks_record_it(tmp_path):
    file = tmp_path / "log.csv"
    fit(
        model_at(np.zeros(SIZE)),
        [
            keras_lbreg.GradientNoiseScale(problem()),
            keras.callbacks.CSVLogger(file),
        ],
    )
    assert "gradient_noise_scale" in file.read_text().splitlines()[0]


@pytest.mark.tensorflow
def test_replicas_measure_what_one_device_does():
    from tests.checks.replicas import mirrored_strategy

    found = []
    for strategy in (None, mirrored_strategy(2)):
        noise = keras_lbreg.GradientNoiseScale(problem(), small_batch=8)
        if strategy is None:
            fit(model_at(np.zeros(SIZE), 0.01), [noise], epochs=2)
        else:
            with strategy.scope():
                model = model_at(np.zeros(SIZE), 0.01)
            fit(model, [noise], epochs=2)
        found.append([*noise.noises, *noise.signals])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


def on_two_replicas(wrap):
    from tests.checks.replicas import mirrored_strategy

    with mirrored_strategy(2).scope():
        model = linear_model(np.zeros(SIZE))
        model.compile(wrap(keras.optimizers.SGD(0.0)), "mse")
    return model


@pytest.mark.tensorflow
def test_the_gradients_of_the_replicas():
    noise = keras_lbreg.GradientNoiseScale(small_batch=8, decay=0.95)
    model = on_two_replicas(keras_lbreg.SquaredGradients)
    history = fit(model, [noise], epochs=5, batch_size=16, shuffle=True)
    s, signal = noise_and_signal(np.zeros(SIZE))
    # Samples of an epoch are drawn without replacement: |G|^2 is that of the
    # distribution, as above.
    assert history["gradient_noise"][-1] == pytest.approx(s, rel=0.15)
    assert history["gradient_signal"][-1] == pytest.approx(signal, rel=0.15)
    assert noise.big_batch == 16
    assert noise.updates == [16, 32, 48, 64, 80]


@pytest.mark.tensorflow
def test_the_gradients_of_the_replicas_every_so_many_updates():
    noise = keras_lbreg.GradientNoiseScale(small_batch=16, frequency=3)
    fit(on_two_replicas(keras_lbreg.SquaredGradients), [noise], epochs=2)
    assert noise.updates == [3, 6, 9, 12, 15]


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda sgd: sgd, r"needs the optimizer's help.*SquaredGradients"),
        (
            lambda sgd: keras_lbreg.SquaredGradients(
                keras_lbreg.GradientMix(sgd)
            ),
            "no means",
        ),
    ],
    ids=["plain", "mixed"],
)
def test_replicas_that_cannot_be_measured(wrap, message):
    with pytest.raises(ValueError, match=message):
        fit(on_two_replicas(wrap), [keras_lbreg.GradientNoiseScale()])


def test_one_replica_has_nothing_to_compare_with():
    with pytest.raises(ValueError, match=r"`data`.*one replica"):
        fit(model_at(np.zeros(SIZE)), [keras_lbreg.GradientNoiseScale()])


def test_the_penalty_of_a_regularizer_is_no_part_of_it():
    values = []
    for regularizer in (None, "l2"):
        model = keras.Sequential(
            [
                keras.Input((SIZE,)),
                keras.layers.Dense(1, kernel_regularizer=regularizer),
            ]
        )
        model.set_weights([np.ones((SIZE, 1)), np.ones(1)])
        model.compile(keras.optimizers.SGD(0.0), "mse")
        noise = keras_lbreg.GradientNoiseScale(problem())
        fit(model, [noise])
        values.append(noise.signals[0])
    assert values[0] == pytest.approx(values[1])


@pytest.mark.parametrize(
    ("data", "arguments", "message"),
    [
        ("xy", {}, "`data`.*type.*str"),
        (problem()[0], {}, "`data`.*pair"),
        ((problem()[0], problem()[1][:3]), {}, "`data`.*each sample"),
        (problem(), {"big_batch": 100}, "`big_batch`.*multiple"),
        (problem(), {"small_batch": 0}, "`small_batch`"),
        (problem(), {"pairs": 0}, "`pairs`"),
        (problem(), {"frequency": "batch"}, "`frequency`.*'epoch' or"),
        (problem(), {"decay": 1}, "`decay`"),
    ],
)
def test_mistakes(data, arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_lbreg.GradientNoiseScale(data, **arguments)


def test_a_model_that_fit_builds():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    noise = keras_lbreg.GradientNoiseScale(problem())
    fit(model, [noise])
    assert noise.updates == [8]


def test_targets_of_several_outputs():
    x, y = problem()
    with pytest.raises(ValueError, match=r"a pair .* of arrays"):
        keras_lbreg.GradientNoiseScale((x, [y, y]))


def test_no_advice_before_a_measurement():
    noise = keras_lbreg.GradientNoiseScale(problem())
    with pytest.raises(ValueError, match="measured nothing yet"):
        noise.advice()


# |G_B|^2 = |G|^2 + S / B gives S and |G|^2 back.
S = [20.0, 30.0, 10.0, 40.0]
SIGNAL = [3.0, 1.0, -1.0, 2.0]


def measured(decay, squares=()):
    """The callback after measurements, without a `fit`."""
    noise = keras_lbreg.GradientNoiseScale(
        problem(), small_batch=4, big_batch=32, decay=decay
    )
    for update, values in enumerate(squares, 1):
        noise._add(10 * update, values)
    return noise


SQUARES = [(g + s / 4, g + s / 32) for s, g in zip(S, SIGNAL, strict=True)]


@pytest.mark.parametrize("decay", [0, 0.5, 0.9])
def test_the_recursion_with_bias_correction(decay):
    noise = measured(decay, SQUARES)
    m_noise = m_signal = 0.0
    for n, (s, signal) in enumerate(zip(S, SIGNAL, strict=True)):
        m_noise = decay * m_noise + (1 - decay) * s
        m_signal = decay * m_signal + (1 - decay) * signal
        ratio = m_noise / m_signal if m_signal > 0 else np.inf
        assert noise.noise_scales[n] == pytest.approx(ratio)
    np.testing.assert_allclose(noise.noises, S)
    np.testing.assert_allclose(noise.signals, SIGNAL)


def test_after_a_rollback():
    noise = measured(0.5, SQUARES)
    before = noise.noise_scales
    noise._add(20, SQUARES[1])
    assert noise.updates == [10, 20]
    np.testing.assert_allclose(noise.noise_scales, before[:2])


def test_an_overflow_does_not_stay():
    noise = measured(0.5, [*SQUARES, (np.inf, np.inf)])
    assert noise.noise_scales[-1] == pytest.approx(noise.noise_scales[-2])
    only = measured(0.5, [(np.inf, np.nan)])
    assert np.isnan(only.noise_scales[0])


@pytest.mark.parametrize(
    "policy", ["bfloat16", "mixed_bfloat16", "float16", "float64"]
)
@pytest.mark.parametrize("statistics", ["batch", "estimate"])
def test_precisions(policy, statistics):
    if policy == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has it only where it is switched on")

    # Random numbers of another precision are others.
    weights = small_network()[0].get_weights()

    def measure(policy):
        keras.config.set_dtype_policy(policy)
        model, x, y = small_network()
        model.set_weights(weights)
        model.compile(
            keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy"
        )
        model.layers[-1].activation = keras.activations.softmax
        surface = LossSurface(model, x, y, statistics=statistics, batch_size=25)
        return surface.squared_gradients(
            surface.point(), np.split(np.arange(50), 2)
        )

    expected = measure("float32")
    tolerance = {"float64": 1e-4, "float16": 0.02}.get(policy, 0.1)
    np.testing.assert_allclose(measure(policy), expected, rtol=tolerance)


@pytest.mark.parametrize("path_reduction", ["sum", "mean"])
def test_both_paths_of_dreg(path_reduction):
    """With almost equal paths, all is as in the plain model, once or twice."""
    plain, x, y = small_network()
    model = keras_lbreg.apply_dreg(
        plain, 0, init_distance=1e-6, path_reduction=path_reduction
    )
    factor = 2.0 if path_reduction == "sum" else 1.0
    index = np.arange(50)
    gradients = []
    for network in (plain, model):
        surface = LossSurface(
            network, x, y, plain.loss, statistics="batch", batch_size=50
        )
        gradients.append(surface.gradient_of(surface.point(), index))
    # Of the behind layers, whose weights both paths use.
    np.testing.assert_allclose(
        gradients[1][-20:], factor * gradients[0][-20:], rtol=1e-4, atol=1e-6
    )
