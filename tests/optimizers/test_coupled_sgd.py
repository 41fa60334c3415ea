"""CoupledSGD against optax and Keras's own SGD."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_lbreg

optax = pytest.importorskip("optax", reason="needs optax, which needs JAX")


def apply_steps(optimizer, weights, gradients):
    variables = [keras.Variable(w, dtype="float32") for w in weights]
    optimizer.build(variables)
    for step in gradients:
        optimizer.apply([ops.cast(g, "float32") for g in step])
    return [np.array(variable) for variable in variables]


def optax_steps(chain, weights, gradients, reset_every=None):
    weights = [np.asarray(w, "float32") for w in weights]
    state = chain.init(weights)
    for t, step in enumerate(gradients):
        if reset_every is not None and t % reset_every == 0:
            state = chain.init(weights)
        step = [np.asarray(g, "float32") for g in step]
        updates, state = chain.update(step, state, weights)
        weights = optax.apply_updates(weights, updates)
    return weights


def random_problem(steps=7):
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(4, 3)), rng.normal(size=(3,))]
    gradients = [
        [rng.normal(size=w.shape) * 10 for w in weights] for _ in range(steps)
    ]
    return weights, gradients


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("clip", [None, 5.0])
@pytest.mark.parametrize("reset", [None, 3])
def test_equals_optax(momentum, decay, clip, reset):
    """The decay comes after the clip and into the momentum."""
    weights, gradients = random_problem()
    chain = optax.chain(
        optax.clip_by_global_norm(clip) if clip else optax.identity(),
        optax.add_decayed_weights(decay),
        optax.trace(momentum) if momentum else optax.identity(),
        optax.scale(-0.1),
    )
    optimizer = keras_lbreg.CoupledSGD(
        0.1,
        momentum=momentum,
        weight_decay=decay,
        reset_momentum_every=reset,
        global_clipnorm=clip,
    )
    ours = apply_steps(optimizer, weights, gradients)
    theirs = optax_steps(chain, weights, gradients, reset)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_rate_drops_at_once():
    """The velocity does not hold the old rate, as that of Keras does."""
    weights, gradients = random_problem()
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [3], [0.1, 0.001]
    )
    chain = optax.sgd(
        optax.piecewise_constant_schedule(0.1, {4: 0.01}), momentum=0.9
    )
    ours = apply_steps(
        keras_lbreg.CoupledSGD(schedule, momentum=0.9), weights, gradients
    )
    theirs = optax_steps(chain, weights, gradients)
    of_keras = apply_steps(
        keras.optimizers.SGD(schedule, momentum=0.9), weights, gradients
    )
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    assert np.abs(ours[0] - of_keras[0]).max() > 0.1


def test_equals_keras_at_a_constant_rate():
    weights, gradients = random_problem()
    ours = apply_steps(
        keras_lbreg.CoupledSGD(0.1, momentum=0.9), weights, gradients
    )
    theirs = apply_steps(
        keras.optimizers.SGD(0.1, momentum=0.9), weights, gradients
    )
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)


def test_exclusion_from_weight_decay():
    optimizer = keras_lbreg.CoupledSGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    kernel = keras.Variable(np.ones(2), name="kernel")
    bias = keras.Variable(np.ones(2), name="bias")
    optimizer.build([kernel, bias])
    optimizer.apply([ops.zeros(2), ops.zeros(2)])
    np.testing.assert_allclose(kernel, 0.95 * np.ones(2))
    np.testing.assert_allclose(bias, np.ones(2))


def test_inside_of_the_wrappers_and_through_a_file(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    optimizer = keras_lbreg.GradientNoise(
        keras_lbreg.CoupledSGD(
            0.1, momentum=0.9, weight_decay=1e-3, reset_momentum_every=4
        ),
        seed=1,
    )
    model.compile(optimizer, "mse")
    x, y = np.ones((8, 3)), np.ones((8, 2))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    model.fit(x, y, epochs=2, verbose=0)
    loaded.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_allclose(
        model.get_weights()[0], loaded.get_weights()[0], rtol=1e-6
    )
    inner = loaded.optimizer.inner_optimizer
    assert inner.get_config() == optimizer.inner_optimizer.get_config()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 1.0}, "below 1. Received: momentum=1.0"),
        ({"weight_decay": -1.0}, "at least 0, or None"),
        ({"reset_momentum_every": 0}, "Expected an integer above 0"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        keras_lbreg.CoupledSGD(**options)
