"""LARS against a numpy oracle, optax and Keras's own SGD."""

import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_lbreg

BACKEND = keras.backend.backend()


def oracle(weight, gradients, rates, options, adapted=True):
    """The paper's update, one float64 variable, with its zero cases."""
    eta = options.get("trust_coefficient", 0.001)
    momentum = options.get("momentum", 0.9)
    beta = (options.get("weight_decay") or 0.0) if adapted else 0.0
    weight = weight.astype("float64")
    velocity = np.zeros_like(weight)
    for gradient, rate in zip(gradients, rates, strict=True):
        weight_norm = np.linalg.norm(weight)
        gradient_norm = np.linalg.norm(gradient)
        local = 1.0
        if adapted and weight_norm > 0 and gradient_norm > 0:
            local = eta * weight_norm / (gradient_norm + beta * weight_norm)
        change = rate * local * (gradient + beta * weight)
        velocity = momentum * velocity + change
        if options.get("nesterov"):
            weight = weight - (momentum * velocity + change)
        else:
            weight = weight - velocity
    return weight


def apply_steps(optimizer, weights, gradients, dtype="float32"):
    """Final values of `weights` after one update per row of `gradients`."""
    variables = [
        keras.Variable(w, dtype=dtype, name=f"w{i}")
        for i, w in enumerate(weights)
    ]
    optimizer.build(variables)
    for step in gradients:
        optimizer.apply([ops.cast(g, dtype) for g in step])
    return [np.array(ops.cast(v, "float32")) for v in variables]


def random_problem(steps=5):
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(4, 3)), rng.normal(size=(3,))]
    gradients = [
        [rng.normal(size=w.shape) * 10 for w in weights] for _ in range(steps)
    ]
    return weights, gradients


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.05},
        {"momentum": 0.0, "weight_decay": 0.05},
        {"nesterov": True, "weight_decay": 0.05},
        {"trust_coefficient": 0.02},
    ],
    ids=str,
)
def test_follows_the_papers_formula(options):
    weights, gradients = random_problem()
    schedule = keras.optimizers.schedules.ExponentialDecay(5.0, 1, 0.5)
    optimizer = keras_lbreg.LARS(schedule, **options)
    matrix, vector = apply_steps(optimizer, weights, gradients)

    rates = [5.0 * 0.5**t for t in range(len(gradients))]
    expected = oracle(weights[0], [g[0] for g in gradients], rates, options)
    np.testing.assert_allclose(matrix, expected, rtol=2e-5, atol=1e-6)
    # Biases take plain momentum SGD, without decay.
    expected = oracle(
        weights[1], [g[1] for g in gradients], rates, options, adapted=False
    )
    np.testing.assert_allclose(vector, expected, rtol=2e-5, atol=1e-4)


def test_excluded_variables_follow_keras_sgd():
    weights, gradients = random_problem()
    lars = keras_lbreg.LARS(0.1, weight_decay=0.1, exclude=["w"])
    sgd = keras.optimizers.SGD(0.1, momentum=0.9)
    for ours, theirs in zip(
        apply_steps(lars, weights, gradients),
        apply_steps(sgd, weights, gradients),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("nesterov", [False, True])
def test_agrees_with_optax_without_weight_decay(nesterov):
    if BACKEND != "jax":
        pytest.skip("optax is compared in the JAX session")
    import optax

    weights, gradients = random_problem()
    optimizer = keras_lbreg.LARS(
        2.0, epsilon=0.0, exclude=(), nesterov=nesterov
    )
    ours = apply_steps(optimizer, weights, gradients)

    solver = optax.lars(2.0, nesterov=nesterov)
    params = [ops.cast(w, "float32") for w in weights]
    state = solver.init(params)
    for step in gradients:
        updates, state = solver.update(
            [ops.cast(g, "float32") for g in step], state, params
        )
        params = optax.apply_updates(params, updates)
    for mine, theirs in zip(ours, params, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)


def test_weight_decay_enters_as_sum_of_norms_not_norm_of_sum():
    # Orthogonal w and g: optax's ||g + beta w|| is sqrt(2) here, ours 2.
    weight, gradient = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    optimizer = keras_lbreg.LARS(
        1.0, momentum=0.0, weight_decay=1.0, trust_coefficient=1.0
    )
    (moved,) = apply_steps(optimizer, [weight], [[gradient]])
    np.testing.assert_allclose(moved, [[0.5, -0.5]], rtol=1e-6)


@pytest.mark.parametrize(
    ("weight", "gradient", "expected"),
    [
        # A kernel that starts at zero takes the plain step: 0 - 0.1 * 2.
        (0.0, 2.0, -0.2),
        # No gradient: the coupled decay, once, 1 - 0.1 * 0.5 * 1.
        (1.0, 0.0, 0.95),
        (0.0, 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("epsilon", [0.0, 1e-9])
def test_zero_norms(weight, gradient, expected, epsilon):
    optimizer = keras_lbreg.LARS(
        0.1, momentum=0.0, weight_decay=0.5, epsilon=epsilon
    )
    shape = (2, 2)
    (moved,) = apply_steps(
        optimizer, [np.full(shape, weight)], [[np.full(shape, gradient)]]
    )
    np.testing.assert_allclose(moved, np.full(shape, expected), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_norms_of_half_precision_variables_do_not_overflow(dtype):
    # 300^2 * 64 is beyond float16, and 1e-4^2 below it.
    weight, gradient = np.full((8, 8), 300.0), np.full((8, 8), 1e-4)
    optimizer = keras_lbreg.LARS(10.0, momentum=0.0, trust_coefficient=0.01)
    (moved,) = apply_steps(optimizer, [weight], [[gradient]], dtype)
    # The whole weight moves by gamma * eta = 10 % of its norm.
    np.testing.assert_allclose(moved, np.full((8, 8), 270.0), rtol=5e-3)


def test_scalars_can_be_adapted():
    optimizer = keras_lbreg.LARS(
        1.0, momentum=0.0, trust_coefficient=0.5, exclude=()
    )
    (moved,) = apply_steps(optimizer, [np.array(2.0)], [[np.array(-7.0)]])
    np.testing.assert_allclose(moved, 3.0, rtol=1e-6)


def build_model(dtype=None):
    keras.utils.set_random_seed(3)
    body = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(8, "relu", name="hidden", dtype=dtype),
        ],
        name="body",
    )
    return keras.Sequential(
        [
            keras.Input((8,), name="x"),
            body,
            keras.layers.Dense(8, "relu", name="middle", dtype=dtype),
            keras.layers.BatchNormalization(name="norm", dtype=dtype),
            keras.layers.Dense(4, name="head", dtype=dtype),
            keras.layers.Activation("softmax", dtype="float32"),
        ],
        name="net",
    )


def data(samples=32):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 8)).astype("float32")
    return x, (x[:, 0] > 0).astype("int32")


def fit(model, optimizer, epochs=2, **compile_options):
    if optimizer is not None:
        model.compile(
            optimizer, "sparse_categorical_crossentropy", **compile_options
        )
    return model.fit(
        *data(), batch_size=8, epochs=epochs, shuffle=False, verbose=0
    )


def test_exclude_from_weight_decay_is_kept():
    weight, gradient = np.ones((2, 2)), np.zeros((2, 2))
    optimizer = keras_lbreg.LARS(0.1, momentum=0.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["w1"])
    decayed, kept = apply_steps(
        optimizer, [weight, weight], [[gradient, gradient]]
    )
    np.testing.assert_allclose(decayed, 0.95 * weight, rtol=1e-6)
    np.testing.assert_array_equal(kept, weight)


def test_excluding_variables_and_names_survives_saving(tmp_path):
    model = build_model()
    optimizer = keras_lbreg.LARS(0.1)
    optimizer.exclude_from_layer_adaptation(
        var_list=[
            model.get_layer("body").get_layer("hidden").kernel,
            model.get_layer("head").kernel,
        ],
        var_names=["bias", "norm/"],
    )
    fit(model, optimizer, epochs=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.exclude == optimizer.exclude

    # The excluded kernel moves as under SGD, which its own norm would not
    # let it do; an adapted one moves by less than 0.1 * 0.001 of its norm.
    before = [np.array(v) for v in loaded.trainable_variables]
    gradients = [np.ones_like(v) for v in before]
    loaded.optimizer.apply([ops.convert_to_tensor(g) for g in gradients])
    for variable, old in zip(loaded.trainable_variables, before, strict=True):
        moved = np.linalg.norm(np.array(variable) - old)
        adapted = variable.path.endswith("middle/kernel")
        assert (moved < 0.01) == adapted, variable.path


def test_a_chosen_variable_is_found_whatever_models_stand_around_it():
    inner = keras.layers.Dense(2, name="dense")
    other = keras.layers.Dense(2, name="a_dense")
    for layer in (inner, other):
        keras.Sequential([keras.Input((2,)), layer], name="block")
    optimizer = keras_lbreg.LARS()
    optimizer.exclude_from_layer_adaptation(var_list=[inner.kernel])
    (pattern,) = optimizer.exclude
    for path in ("block/dense/kernel", "dense/kernel"):
        assert re.search(pattern, path)
    for path in (
        other.kernel.path,
        "a_dense/kernel",
        "dense/kernel_left",
        "other/dense/kernel",
    ):
        assert not re.search(pattern, path)


def test_excluding_after_build_is_refused():
    optimizer = keras_lbreg.LARS()
    optimizer.build([keras.Variable(np.ones((2, 2)))])
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_layer_adaptation(var_names=["bias"])


def test_save_and_load_continues_the_same_run(tmp_path):
    model = build_model()
    optimizer = keras_lbreg.LARS(
        keras_lbreg.WarmUp(1.0, 6), weight_decay=1e-3, trust_coefficient=0.05
    )
    fit(model, optimizer)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == optimizer.get_config()

    fit(model, None)
    fit(loaded, None)
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(other))


def test_config_holds_every_argument():
    arguments = {
        "learning_rate": 0.5,
        "momentum": 0.8,
        "weight_decay": 0.01,
        "trust_coefficient": 0.002,
        "epsilon": 1e-6,
        "nesterov": True,
        "exclude": ["bias"],
        "clipnorm": 1.0,
        "name": "mine",
    }
    config = keras_lbreg.LARS(**arguments).get_config()
    again = keras_lbreg.LARS.from_config(dict(config))
    assert {name: config[name] for name in arguments} == arguments
    assert again.get_config() == config


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_trains_under_mixed_precision(dtype):
    model = build_model(dtype)
    history = fit(
        model, keras_lbreg.LARS(1.0, trust_coefficient=0.02), epochs=6
    )
    losses = history.history["loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_xla_does_the_same():
    results = []
    for jit_compile in (False, True):
        model = build_model()
        fit(
            model,
            keras_lbreg.LARS(1.0, weight_decay=1e-3),
            jit_compile=jit_compile,
        )
        results.append(model.get_weights())
    for plain, compiled in zip(*results, strict=True):
        np.testing.assert_allclose(plain, compiled, rtol=1e-4, atol=1e-5)


@pytest.mark.tensorflow
def test_sparse_gradients_of_an_embedding():
    rows = np.array([[1], [1], [3]])
    results = []
    for lookup in ("sparse", "dense"):
        layer = keras.layers.Embedding(
            5, 2, embeddings_initializer=keras.initializers.Constant(2.0)
        )
        optimizer = keras_lbreg.LARS(1.0, trust_coefficient=0.1)
        layer.build()
        optimizer.build(layer.trainable_variables)
        import tensorflow as tf

        with tf.GradientTape() as tape:
            if lookup == "sparse":
                loss = ops.sum(layer(rows))
            else:
                loss = ops.sum(ops.one_hot(rows, 5) @ layer.embeddings)
        optimizer.apply(tape.gradient(loss, layer.trainable_variables))
        results.append(np.array(layer.embeddings))
    np.testing.assert_allclose(*results, rtol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"weight_decay": -1e-4},
        {"trust_coefficient": 0.0},
        {"epsilon": -1.0},
    ],
    ids=str,
)
def test_invalid_arguments_are_named(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"argument `{name}`.*Expected"):
        keras_lbreg.LARS(**arguments)
