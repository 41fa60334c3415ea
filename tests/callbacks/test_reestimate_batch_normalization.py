"""Population statistics, against NumPy and against Keras's layer."""

import itertools

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

import keras_lbreg
from keras_lbreg import reestimate_batch_norm
from tests.analysis.quadratic import small_network

SAMPLES = 48
L = keras.layers


def inputs(samples=SAMPLES, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(2, 3, (samples, 3)).astype("float32")


X = inputs()


def network(norm, behind=()):
    model = keras.Sequential([keras.Input((3,)), L.Dense(5), norm, *behind])
    for variable in norm.non_trainable_variables:
        if variable.name.startswith("moving"):
            # Far from everything.
            variable.assign(np.full(variable.shape, 50.0))
    return model


def features(model, x):
    kernel, bias = map(to_numpy, model.layers[0].weights)
    return x @ kernel + bias


def check(norm, values, rtol=2e-6):
    """The statistics are the mean and variance of `values`."""
    values = values.reshape(-1, values.shape[-1]).astype("float64")
    check_pair(norm, values.mean(0), values.var(0), rtol)


def check_pair(norm, mean, variance, rtol=2e-6):
    np.testing.assert_allclose(
        to_numpy(norm.moving_mean), mean, rtol=rtol, atol=2e-6
    )
    np.testing.assert_allclose(
        to_numpy(norm.moving_variance), variance, rtol=2 * rtol, atol=1e-6
    )


@pytest.mark.parametrize("batch_size", [20, 7])
@pytest.mark.parametrize(
    "norm",
    [
        lambda: L.BatchNormalization(),
        lambda: L.BatchNormalization(momentum=0.0),
        lambda: L.BatchNormalization(renorm=True),
        lambda: keras_lbreg.GhostBatchNormalization(ghost_batch_size=6),
        lambda: keras_lbreg.GhostBatchNormalization(
            ghost_batch_size=6, statistics="mean"
        ),
    ],
    ids=["plain", "no-momentum", "renorm", "sequential", "mean"],
)
def test_population_statistics(norm, batch_size):
    norm = norm()
    model = network(norm)
    weights = [to_numpy(v) for v in model.trainable_variables]
    assert reestimate_batch_norm(model, X, batch_size) is model
    check(norm, features(model, X), 1e-5)
    for old, new in zip(weights, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_one_batch_is_a_training_step_without_momentum():
    model, other = (
        network(
            L.BatchNormalization(momentum=0.0),
            [L.Dense(4), L.BatchNormalization(momentum=0.0)],
        )
        for _ in range(2)
    )
    other.set_weights(model.get_weights())
    reestimate_batch_norm(model, X)
    other(X, training=True)
    for new, old in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, rtol=2e-5, atol=1e-5)


def test_a_large_mean_costs_no_digits_of_the_variance():
    norm = L.BatchNormalization()
    model = keras.Sequential([keras.Input((3,)), norm])
    x = (1e3 + X / 10).astype("float32")
    reestimate_batch_norm(model, x, batch_size=16)
    # E[x^2] - E[x]^2 in float32 would have none.
    check(norm, x, 1e-4)


def test_layers_behind_see_what_training_gives_them():
    """The second layer's inputs are normalized by each batch's statistics."""
    first, second = L.BatchNormalization(), L.BatchNormalization()
    model = keras.Sequential([keras.Input((3,)), first, second])
    batches = [X[:10], X[10:30], X[30:]]
    reestimate_batch_norm(model, iter(batches), steps=3)
    seen = np.concatenate(
        [(b - b.mean(0)) / np.sqrt(b.var(0) + first.epsilon) for b in batches]
    )
    check(first, X)
    check(second, seen, 1e-5)


@pytest.mark.parametrize(
    ("shape", "axis"), [((5, 4), -1), ((5, 4), 1), ((2, 3, 5, 4), 2)]
)
def test_ranks_and_axes(shape, axis):
    norm = L.BatchNormalization(axis=axis)
    model = keras.Sequential([keras.Input(shape), norm])
    x = np.random.default_rng(1).normal(3, 2, (9, *shape)).astype("float32")
    reestimate_batch_norm(model, x, batch_size=4)
    check(norm, np.moveaxis(x, axis, -1))


@pytest.mark.parametrize("ghosts", [False, True])
def test_masked_elements_do_not_count(ghosts):
    norm = (
        keras_lbreg.GhostBatchNormalization(ghost_batch_size=2)
        if ghosts
        else L.BatchNormalization()
    )
    model = keras.Sequential([keras.Input((5, 3)), L.Masking(), norm])
    x = np.random.default_rng(1).normal(3, 2, (9, 5, 3)).astype("float32")
    lengths = np.array([5, 1, 2, 3, 4, 5, 1, 2, 3])
    present = np.arange(5) < lengths[:, None]
    x[~present] = 0
    reestimate_batch_norm(model, x, batch_size=4)
    check(norm, x[present])


def test_a_layer_called_twice_pools_both():
    norm = L.BatchNormalization(epsilon=1e-7)
    a, b = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([a, b], L.Add()([norm(a), norm(b)]))
    y = inputs(seed=1) + 7
    reestimate_batch_norm(model, [X, y], batch_size=10)
    check(norm, np.concatenate([X, y]), 1e-5)


class Block(keras.layers.Layer):
    """A layer with a batch normalization inside."""

    def __init__(self, norm, training=None, **kwargs):
        super().__init__(**kwargs)
        self.norm = norm
        self.mode = training

    def build(self, shape):
        self.norm.build(shape)

    def call(self, x, training=None):
        mode = training if self.mode is None else self.mode
        return self.norm(x, training=mode)


def test_frozen_layers_and_inference_are_left_alone():
    frozen, fixed, trained = (L.BatchNormalization() for _ in "abc")
    x = keras.Input((3,))
    y = trained(Block(fixed, training=False)(frozen(x)))
    model = keras.Model(x, y)
    frozen.trainable = False
    for layer in (frozen, fixed, trained):
        layer.moving_mean.assign([1.0, 2.0, 3.0])
    reestimate_batch_norm(model, X)
    z = X
    for layer in (frozen, fixed):
        check_pair(layer, [1.0, 2.0, 3.0], np.ones(3))
        z = (z - [1, 2, 3]) / np.sqrt(1 + layer.epsilon)
    check(trained, z, 1e-5)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [Block(L.BatchNormalization()) for _ in "ab"]

    def call(self, x, training=False):
        for block in self.blocks:
            x = block(x, training=training)
        return x


def nested():
    norms = [L.BatchNormalization(), L.BatchNormalization()]
    inner = keras.Sequential([keras.Input((3,)), norms[0]])
    x = keras.Input((3,))
    return keras.Model(x, norms[1](inner(x))), norms


def subclassed():
    model = Subclassed()
    model(X)
    return model, [block.norm for block in model.blocks]


def wrapped_in_time():
    norms = [L.BatchNormalization(), L.BatchNormalization()]
    model = keras.Sequential(
        [
            keras.Input((3,)),
            L.Reshape((1, 3)),
            *[L.TimeDistributed(norm) for norm in norms],
        ]
    )
    return model, norms


@pytest.mark.parametrize("make", [nested, subclassed, wrapped_in_time])
def test_layers_inside_others(make):
    model, norms = make()
    reestimate_batch_norm(model, X)
    check(norms[0], X)
    z = (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-3)
    check(norms[1], z, 1e-5)


def test_both_paths_of_a_dreg_model_have_their_own():
    model = keras.Sequential(
        [keras.Input((3,)), L.Dense(5, name="fork"), L.BatchNormalization()]
    )
    model = keras_lbreg.apply_dreg(model, "fork", init_distance=0.5)
    reestimate_batch_norm(model, X, batch_size=20)
    fork, norm = model.get_layer("fork"), model.layers[-1]
    bias = to_numpy(fork.bias)
    for kernel, (mean, variance) in (
        (fork.kernel, norm.right_statistics),
        (fork.kernel_left, norm.left_statistics),
    ):
        z = X @ to_numpy(kernel) + bias
        np.testing.assert_allclose(mean, z.mean(0), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(variance, z.var(0), rtol=1e-5)


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        part = slice(16 * index, 16 * index + 16)
        return X[part], np.zeros(16), np.ones(16)


class Endless(Sequence):
    num_batches = None


def tf_dataset():
    # Not a module of the JAX tests.
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, X[:, 0])).batch(20)


@pytest.mark.parametrize(
    ("data", "steps"),
    [
        (lambda: X, None),
        (lambda: (X, np.zeros(SAMPLES)), None),
        (lambda: (X, np.zeros(SAMPLES), np.zeros(SAMPLES)), None),
        (lambda: [X], None),
        (lambda: {"x": X}, None),
        (lambda: keras.ops.convert_to_tensor(X), None),
        (Sequence, None),
        (Endless, 3),
        (lambda: iter([(X[:30], 0), (X[30:], 0)]), 9),
        pytest.param(tf_dataset, None, marks=pytest.mark.tensorflow),
    ],
)
def test_forms_of_data(data, steps):
    norm = L.BatchNormalization()
    model = keras.Sequential([keras.Input((3,), name="x"), norm])
    if isinstance(data(), (dict, list)):
        x = keras.Input((3,), name="x")
        structure = keras.tree.map_structure(lambda _: x, data())
        model = keras.Model(structure, norm(x))
    reestimate_batch_norm(model, data(), batch_size=20, steps=steps)
    check(norm, X)


def test_steps_take_samples_at_random():
    norm = L.BatchNormalization()
    model = keras.Sequential([keras.Input((3,)), norm])
    reestimate_batch_norm(model, X, batch_size=8, steps=2, seed=3)
    chosen = np.random.default_rng(3).permutation(SAMPLES)[:16]
    check(norm, X[chosen])


def test_the_rest_of_the_model_stays_as_it_is():
    norm = L.BatchNormalization()
    model = network(norm, [L.Dropout(0.5), L.Dense(1, name="out")])
    model.compile(
        keras_lbreg.GradientNoise(keras.optimizers.Adam(), seed=1),
        "mse",
        metrics=["mae"],
    )
    model.fit(X, X[:, :1], verbose=0)
    statistics = {id(norm.moving_mean), id(norm.moving_variance)}
    others = [
        v
        for v in [*model.variables, *model.optimizer.variables]
        if id(v) not in statistics
    ]
    before = [to_numpy(v) for v in others]
    reestimate_batch_norm(model, X)
    for old, new in zip(before, others, strict=True):
        np.testing.assert_array_equal(old, to_numpy(new))
    assert "call" not in vars(norm)
    # Another batch, another mask: the statistics of what is behind depend on
    # it, and are the same each time.
    again = [to_numpy(v) for v in model.weights]
    reestimate_batch_norm(model, X)
    for old, new in zip(again, model.weights, strict=True):
        np.testing.assert_array_equal(old, to_numpy(new))


@pytest.mark.parametrize("policy", ["bfloat16", "mixed_bfloat16", "float16"])
def test_low_precision(policy):
    norm = L.BatchNormalization(dtype=policy)
    model = keras.Sequential([keras.Input((3,)), norm])
    x = to_numpy(keras.ops.cast(X, norm.compute_dtype)).astype("float32")
    reestimate_batch_norm(model, X, batch_size=16)
    assert norm.moving_mean.dtype == norm.variable_dtype
    mean = to_numpy(norm.moving_mean).astype("float64")
    variance = to_numpy(norm.moving_variance).astype("float64")
    # What is measured is exact; it is stored in the variable's precision.
    rtol = {"bfloat16": 2**-8, "float16": 2**-11, "float32": 2e-6}
    rtol = rtol[norm.variable_dtype]
    np.testing.assert_allclose(mean, x.mean(0), rtol=rtol)
    np.testing.assert_allclose(variance, x.var(0), rtol=rtol)


@pytest.mark.tensorflow
def test_float64():
    norm = L.BatchNormalization(dtype="float64")
    model = keras.Sequential([keras.Input((3,), dtype="float64"), norm])
    x = np.random.default_rng(0).normal(5, 1, (50, 3))
    reestimate_batch_norm(model, x, batch_size=16)
    np.testing.assert_allclose(norm.moving_mean, x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(norm.moving_variance, x.var(0), rtol=1e-13)


@pytest.mark.tensorflow
def test_replicas_all_get_the_statistics():
    from tests.checks.replicas import mirrored_strategy

    strategy = mirrored_strategy(2)
    with strategy.scope():
        norm = L.BatchNormalization()
        model = keras.Sequential([keras.Input((3,)), norm])
    reestimate_batch_norm(model, X, batch_size=16)
    check(norm, X)
    for value in strategy.experimental_local_results(norm.moving_mean.value):
        np.testing.assert_allclose(value, X.mean(0), rtol=1e-5)


def test_a_model_without_batch_normalization():
    model = keras.Sequential([keras.Input((3,)), L.Dense(2), L.Dropout(0.5)])
    before = [to_numpy(v) for v in model.variables]
    reestimate_batch_norm(model, X)
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, to_numpy(new))


class Foreign(keras.layers.Layer):
    """Keeps a moving mean, and is no batch normalization."""

    def build(self, shape):
        self.moving_mean = self.add_weight(
            shape=shape[-1:], name="moving_mean", trainable=False
        )

    def call(self, x, training=None):
        if training:
            self.moving_mean.assign(0.5 * self.moving_mean + 1.0)
        return x - self.moving_mean


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (None, {"batch_size": 0}, "`batch_size`"),
        (None, {"steps": 0}, "`steps`"),
        (None, {"data": Endless()}, "`steps`.*length"),
        (None, {"data": itertools.repeat(X)}, "`steps`.*length"),
        (None, {"data": [3.0]}, "`data`.*dense or ragged"),
        (None, {"data": X[:0]}, "`data`.*at least one"),
        (None, {"data": [X, X[:3]]}, r"`data`.*\[3, 48\] samples"),
        (L.BatchNormalization(), {}, "`model`.*built"),
        (Foreign(name="own"), {}, "`model`.*own/moving_mean"),
    ],
)
def test_mistakes(model, arguments, message):
    if isinstance(model, Foreign):
        model = keras.Sequential([keras.Input((3,)), model])
    elif model is not None:
        model = keras.Sequential([model])
    else:
        model = keras.Sequential([keras.Input((3,)), L.BatchNormalization()])
    with pytest.raises(ValueError, match=message):
        reestimate_batch_norm(model, **{"data": X, **arguments})


class Seen(keras.callbacks.Callback):
    """The moving mean at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_epoch_end(self, epoch, logs=None):
        self.values.append(to_numpy(self.model.layers[1].moving_mean))


def train(callbacks, epochs=3):
    model, x, y = small_network()
    history = model.fit(
        x,
        y,
        epochs=epochs,
        batch_size=10,
        validation_data=(x, y),
        verbose=0,
        callbacks=callbacks,
    ).history
    return model, history, x, y


def test_validation_is_with_the_statistics_of_the_present_weights():
    twin, x, y = small_network()
    precise = keras_lbreg.ReestimateBatchNormalization(x)
    weights = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            weights.append(self.model.get_weights())

    _, history, _, _ = train([Watch(), precise], epochs=2)
    for epoch, values in enumerate(weights):
        twin.set_weights(values)
        assert history["val_loss"][epoch] == pytest.approx(
            twin.evaluate(x, y, verbose=0)[0], rel=1e-5
        )
        hidden = np.tanh(x @ values[0] + values[1])
        np.testing.assert_allclose(values[4], hidden.mean(0), atol=1e-5)
        np.testing.assert_allclose(values[5], hidden.var(0), rtol=1e-4)
    # The moving statistics are far from those.
    _, lagging, _, _ = train([], epochs=2)
    assert abs(lagging["val_loss"][0] - history["val_loss"][0]) > 0.01


@pytest.mark.parametrize("keep", [True, False])
def test_training_is_bit_for_bit_as_without(keep):
    plain, with_it = Seen(), Seen()
    model, history, x, y = train([plain])
    data = (x, y)
    precise = keras_lbreg.ReestimateBatchNormalization(data, keep=keep)
    other, precise_history, _, _ = train([precise, with_it])
    np.testing.assert_array_equal(plain.values, with_it.values)
    assert history["loss"] == precise_history["loss"]
    assert history["val_loss"] != precise_history["val_loss"]
    for old, new in zip(
        model.trainable_variables, other.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(to_numpy(old), to_numpy(new))
    if keep:
        assert other.evaluate(x, y, verbose=0)[0] == pytest.approx(
            precise_history["val_loss"][-1], rel=1e-5
        )
    else:
        for old, new in zip(
            model.get_weights(), other.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(old, new)


def test_evaluate_outside_of_fit_is_not_affected():
    precise = keras_lbreg.ReestimateBatchNormalization(inputs(), keep=False)
    model, _, x, y = train([precise])
    before = model.get_weights()
    model.evaluate(x, y, verbose=0, callbacks=[precise])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.tensorflow
def test_each_replica_gets_its_own_moving_statistics_back():
    from tests.checks.replicas import mirrored_strategy

    x, y = inputs(64), np.zeros((64, 3), "float32")
    strategy = mirrored_strategy(2)
    values = []
    for callbacks in (
        [],
        [keras_lbreg.ReestimateBatchNormalization(x, 32, keep=False)],
    ):
        with strategy.scope():
            keras.utils.set_random_seed(0)
            norm = L.BatchNormalization()
            model = keras.Sequential([keras.Input((3,)), norm])
            model.compile("sgd", "mse")
        model.fit(
            x,
            y,
            batch_size=16,
            epochs=2,
            shuffle=False,
            validation_data=(x, y),
            callbacks=callbacks,
            verbose=0,
        )
        local = strategy.experimental_local_results(norm.moving_mean.value)
        values.append([np.array(v) for v in local])
    np.testing.assert_array_equal(*values)
    assert np.any(values[0][0] != values[0][1])


def test_an_iterator_is_refused_by_the_callback():
    with pytest.raises(ValueError, match=r"`data`.*iterator"):
        keras_lbreg.ReestimateBatchNormalization(iter([X]))
