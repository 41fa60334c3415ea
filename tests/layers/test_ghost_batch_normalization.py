"""GhostBatchNormalization against a numpy oracle."""

import inspect
import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_lbreg.layers import GhostBatchNormalization
from tests.checks.layer import run_layer_test, save_and_load
from tests.checks.replicas import mirrored_strategy


class Oracle:
    """The layer as it is defined, in float64 numpy."""

    def __init__(self, size, axis, momentum, epsilon, statistics, channels):
        self.size = size
        self.axis = axis
        self.momentum = momentum
        self.epsilon = epsilon
        self.statistics = statistics
        self.gamma = np.linspace(0.5, 2.0, channels)
        self.beta = np.linspace(-1.0, 1.0, channels)
        self.mean = np.zeros(channels)
        self.variance = np.ones(channels)

    def __call__(self, x, mask=None):
        x = x.astype("float64")
        axis = self.axis % x.ndim
        axes = tuple(a for a in range(x.ndim) if a != axis)
        weights = np.ones_like(x) if mask is None else mask[..., None] + 0 * x
        shape = [1] * x.ndim
        shape[axis] = -1
        outputs, means, variances = [], [], []
        for ghost in self.ghosts(len(x)):
            w, part = weights[ghost], x[ghost]
            n = w.sum(axes)
            mean = (w * part).sum(axes) / n
            centred = part - mean.reshape(shape)
            variance = (w * centred**2).sum(axes) / n
            sigma = np.sqrt(variance + self.epsilon)
            z = centred / sigma.reshape(shape)
            outputs.append(
                self.gamma.reshape(shape) * z + self.beta.reshape(shape)
            )
            means.append(mean)
            variances.append(variance)
        if self.statistics == "mean":
            means, variances = [np.mean(means, 0)], [np.mean(variances, 0)]
        m = self.momentum
        for mean, variance in zip(means, variances, strict=True):
            self.mean = m * self.mean + (1 - m) * mean
            self.variance = m * self.variance + (1 - m) * variance
        return np.concatenate(outputs)

    def ghosts(self, batch_size):
        count = max(1, batch_size // self.size)
        starts = [i * self.size for i in range(count)]
        return [
            slice(a, b)
            for a, b in zip(starts, [*starts[1:], batch_size], strict=True)
        ]


def make_pair(size, axis, channels, statistics="sequential", **kwargs):
    settings = {"momentum": 0.7, "epsilon": 1e-4, **kwargs}
    oracle = Oracle(
        size,
        axis,
        settings["momentum"],
        settings["epsilon"],
        statistics,
        channels,
    )
    layer = GhostBatchNormalization(
        ghost_batch_size=size, statistics=statistics, axis=axis, **settings
    )
    return layer, oracle


def check(layer, oracle, x, mask=None, atol=1e-4):
    """One training step of both agree, in output and in moving statistics."""
    if not layer.built:
        layer.build(x.shape)
        layer.gamma.assign(oracle.gamma)
        layer.beta.assign(oracle.beta)
    y = layer(x, training=True, mask=mask)
    expected = oracle(x, mask)
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(y, "float32")), expected, atol=atol
    )
    np.testing.assert_allclose(layer.moving_mean, oracle.mean, atol=atol)
    np.testing.assert_allclose(
        layer.moving_variance, oracle.variance, rtol=1e-3
    )


def inputs(shape, seed=0):
    x = np.random.default_rng(seed).normal(2.0, 3.0, size=shape)
    return x.astype("float32")


@pytest.mark.parametrize("statistics", ["sequential", "mean"])
@pytest.mark.parametrize(
    ("rest", "axis"),
    [
        ((3,), -1),
        ((5, 3), -1),
        ((3, 5), 1),
        ((4, 5, 3), 3),
        ((4, 3, 5), -2),
        ((3, 4, 5), 1),
        ((2, 2, 2, 3), -1),
        ((3, 2, 2, 2), 1),
    ],
)
def test_every_rank_axis_and_remainder(rest, axis, statistics):
    """Even, left over, fewer than one ghost; the steps go on from another."""
    layer, oracle = make_pair(4, axis, 3, statistics)
    for seed, batch_size in enumerate((8, 11, 7, 3, 5)):
        check(layer, oracle, inputs((batch_size, *rest), seed))


def test_ghost_large_enough_for_the_fused_kernel():
    layer, oracle = make_pair(64, -1, 16)
    for seed, batch_size in enumerate((128, 150)):
        check(layer, oracle, inputs((batch_size, 8, 8, 16), seed))


@pytest.mark.parametrize(("rest", "axis"), [((5, 3), -1), ((3, 5), 1)])
def test_mask(rest, axis):
    layer, oracle = make_pair(4, axis, 3)
    mask = np.random.default_rng(1).uniform(size=(11, rest[0])) < 0.6
    mask[:, 0] = True
    check(layer, oracle, inputs((11, *rest)), mask)


def test_mask_of_wrong_rank_is_refused():
    layer = GhostBatchNormalization()
    with pytest.raises(ValueError, match="`mask`"):
        layer(inputs((4, 5, 3)), training=True, mask=np.ones((4,), bool))


def test_center_and_scale_can_be_left_out():
    layer, oracle = make_pair(4, -1, 3, center=False, scale=False)
    x = inputs((8, 3))
    layer.build(x.shape)
    oracle.gamma, oracle.beta = np.ones(3), np.zeros(3)
    check(layer, oracle, x)
    assert layer.gamma is None
    assert layer.beta is None


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_statistics_are_float32_in_mixed_precision(dtype):
    """Squares of 300 overflow float16, sums of many lose bits in bfloat16."""
    layer, oracle = make_pair(64, -1, 2, dtype=dtype)
    x = np.asarray(
        ops.convert_to_numpy(
            ops.cast(
                ops.cast(300 + inputs((128, 16, 2)), layer.compute_dtype),
                "float32",
            )
        )
    )
    check(layer, oracle, x, atol=3e-2)
    assert layer.moving_mean.dtype == "float32"
    y = layer(ops.cast(x, layer.compute_dtype), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype


@pytest.mark.parametrize("shape", [(0, 3), (0, 64, 64, 16)])
def test_empty_batch(shape):
    layer = GhostBatchNormalization(ghost_batch_size=16)
    layer.build((None, *shape[1:]))
    y = layer(np.zeros(shape, "float32"), training=True)
    assert tuple(y.shape) == shape
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(shape[-1]))
    np.testing.assert_array_equal(layer.moving_variance, np.ones(shape[-1]))


def test_inference_and_frozen_layer_are_batch_normalization():
    x = inputs((8, 3))
    ghost = GhostBatchNormalization(ghost_batch_size=4)
    ghost(x, training=True)
    plain = keras.layers.BatchNormalization()
    plain.build(x.shape)
    plain.set_weights(ghost.get_weights())
    np.testing.assert_array_equal(ghost(x), plain(x))
    ghost.trainable = False
    before = ghost.get_weights()
    np.testing.assert_array_equal(ghost(x, training=True), plain(x))
    for old, new in zip(before, ghost.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ghost_batch_size": 0}, "`ghost_batch_size`.*integer above 0"),
        ({"ghost_batch_size": 2.5}, "`ghost_batch_size`.*integer above 0"),
        ({"ghost_batch_size": True}, "`ghost_batch_size`.*integer above 0"),
        ({"statistics": "median"}, "`statistics`.*sequential"),
        ({"synchronized": True}, "`synchronized`.*Expected `False`"),
        ({"renorm": True}, "`renorm`.*Expected `False`"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        GhostBatchNormalization(**arguments)


def test_numbers_may_be_of_numpy():
    layer = GhostBatchNormalization(
        momentum=np.float32(0.5),
        epsilon=np.float64(1e-3),
        renorm_momentum=np.float32(0.5),
        axis=np.int64(-1),
        ghost_batch_size=np.int64(4),
    )
    assert layer(inputs((8, 3)), training=True).shape == (8, 3)
    json.dumps(layer.get_config())


def test_signature_is_that_of_keras_and_two_more():
    parameters = inspect.signature(GhostBatchNormalization).parameters
    plain = inspect.signature(keras.layers.BatchNormalization).parameters
    ours = [n for n in parameters if n not in plain]
    assert ours == ["ghost_batch_size", "statistics"]
    for name, parameter in plain.items():
        assert parameters[name].default == parameter.default


@pytest.mark.tensorflow
def test_sparse_and_ragged_inputs():
    import tensorflow as tf

    x = np.array([[0.0, 2.0], [0.0, 0.0], [1.0, 0.0], [4.0, 3.0]], "float32")
    dense = GhostBatchNormalization(ghost_batch_size=2)
    sparse = GhostBatchNormalization(ghost_batch_size=2)
    y = sparse(tf.sparse.from_dense(x), training=True)
    np.testing.assert_allclose(y, dense(x, training=True), atol=1e-6)
    np.testing.assert_allclose(sparse.moving_mean, dense.moving_mean)
    ragged = tf.ragged.constant([[[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]]])
    layer = GhostBatchNormalization()
    layer.build((None, None, 2))
    with pytest.raises(ValueError, match="ragged"):
        layer(ragged, training=True)


@pytest.mark.parametrize("statistics", ["sequential", "mean"])
@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.99, 1.0])
def test_moving_statistics(momentum, statistics):
    layer, oracle = make_pair(4, -1, 3, statistics, momentum=momentum)
    for seed in range(3):
        check(layer, oracle, inputs((22, 3), seed))


@pytest.mark.parametrize("floatx", ["float16", "bfloat16"])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_trains_in_half_precision(floatx, jit_compile):
    """As plain batch normalization does, with the batch size known."""
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(floatx)
    try:
        layer = GhostBatchNormalization(ghost_batch_size=4, momentum=0.5)
        model = keras.Sequential([keras.Input((3,)), layer])
        model.compile("sgd", "mse", jit_compile=jit_compile)
        x = inputs((8, 3))
        model.fit(x, x, batch_size=8, shuffle=False, verbose=0)
        assert layer.moving_mean.dtype == floatx
        expected = x[:4].mean(0) / 4 + x[4:].mean(0) / 2
        mean = ops.convert_to_numpy(ops.cast(layer.moving_mean, "float32"))
        np.testing.assert_allclose(mean, expected, rtol=2e-2)
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.tensorflow
@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("statistics", ["sequential", "mean"])
def test_float64_means_float64(static, masked, statistics):
    import tensorflow as tf

    layer, oracle = make_pair(
        4, -1, 3, statistics, momentum=0.99, dtype="float64"
    )
    x = inputs((22, 5, 3)).astype("float64")
    mask = np.random.default_rng(1).uniform(size=x.shape[:2]) < 0.6
    mask[:, 0] = True
    layer.build(x.shape)
    layer.gamma.assign(oracle.gamma)
    layer.beta.assign(oracle.beta)
    specs = [tf.TensorSpec(x.shape if static else (None, 5, 3), "float64")]
    if masked:
        specs.append(tf.TensorSpec(mask.shape if static else (None, 5), "bool"))
    step = tf.function(
        lambda x, mask=None: layer(x, training=True, mask=mask),
        input_signature=specs,
    )
    arguments = (x, mask)[: len(specs)]
    for _ in range(3):
        y = step(*arguments)
        np.testing.assert_allclose(y, oracle(*arguments), atol=1e-12)
    np.testing.assert_allclose(layer.moving_mean, oracle.mean, rtol=1e-12)
    np.testing.assert_allclose(
        layer.moving_variance, oracle.variance, rtol=1e-12
    )


def test_weights_go_both_ways_and_files_by_surgery(tmp_path):
    plain = keras.Sequential(
        [keras.Input((3,)), keras.layers.BatchNormalization()]
    )
    plain.set_weights([np.full(3, v, "float32") for v in (1, 2, 3, 4)])
    ghost = keras.Sequential([keras.Input((3,)), GhostBatchNormalization()])
    ghost.set_weights(plain.get_weights())
    x = inputs((4, 3))
    np.testing.assert_array_equal(ghost(x), plain(x))
    path = tmp_path / "plain.weights.h5"
    plain.save_weights(path)
    with pytest.raises(ValueError, match="received 0 variables"):
        ghost.load_weights(path)


def test_a_ghost_without_unmasked_elements_counts_as_zeros():
    layer = GhostBatchNormalization(
        ghost_batch_size=2, momentum=0.5, statistics="mean"
    )
    x = inputs((4, 5, 3))
    mask = np.ones((4, 5), bool)
    mask[:2] = False
    y = layer(x, training=True, mask=mask)
    assert np.isfinite(ops.convert_to_numpy(y)).all()
    # Half of the old 0, and half of the mean over both ghosts.
    expected = 0.5 * x[2:].mean(axis=(0, 1)) / 2
    np.testing.assert_allclose(layer.moving_mean, expected, atol=1e-5)


@pytest.mark.parametrize("axis", [0, -2])
def test_batch_axis_is_refused(axis):
    with pytest.raises(ValueError, match="axis 0 is the batch"):
        GhostBatchNormalization(axis=axis).build((None, 3))


def test_layer_basics(tmp_path):
    layer = run_layer_test(
        GhostBatchNormalization,
        {"ghost_batch_size": 2, "statistics": "mean", "momentum": 0.9},
        (6, 4, 4, 3),
        dtypes=("float32", "mixed_float16", "mixed_bfloat16"),
    )
    x = inputs((6, 4, 4, 3))
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    again = save_and_load(model, tmp_path)
    assert again.layers[0].ghost_batch_size == 2
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_with_a_ragged_last_batch(jit_compile):
    """Batches of 8 and 3 through `fit`, against the oracle."""
    layer, oracle = make_pair(4, -1, 3)
    x = inputs((11, 3))
    model = keras.Sequential([keras.Input((3,)), layer])
    layer.gamma.assign(oracle.gamma)
    layer.beta.assign(oracle.beta)
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=jit_compile)
    model.fit(x, x, batch_size=8, shuffle=False, verbose=0)
    oracle(x[:8])
    oracle(x[8:])
    np.testing.assert_allclose(layer.moving_mean, oracle.mean, rtol=1e-4)
    np.testing.assert_allclose(
        layer.moving_variance, oracle.variance, rtol=1e-3
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_dynamic_batch_size(jit_compile):
    import tensorflow as tf

    layer, oracle = make_pair(64, -1, 16)
    layer.build((None, 8, 8, 16))
    layer.gamma.assign(oracle.gamma)
    layer.beta.assign(oracle.beta)
    step = tf.function(
        lambda x: layer(x, training=True),
        input_signature=[tf.TensorSpec((None, 8, 8, 16))],
        jit_compile=jit_compile,
    )
    for seed, batch_size in enumerate((128, 150, 30)):
        x = inputs((batch_size, 8, 8, 16), seed)
        np.testing.assert_allclose(step(x), oracle(x), atol=1e-3)
        np.testing.assert_allclose(layer.moving_mean, oracle.mean, atol=1e-4)
    before = layer.get_weights()
    assert step(np.zeros((0, 8, 8, 16), "float32")).shape == (0, 8, 8, 16)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.tensorflow
def test_replicas_cut_their_own_part_and_an_empty_one_does_no_harm():
    import tensorflow as tf

    strategy = mirrored_strategy(2)
    with strategy.scope():
        layer = GhostBatchNormalization(ghost_batch_size=2, momentum=0.0)
        layer.build((None, 3))

    @tf.function
    def step(batch):
        return strategy.run(lambda x: layer(x, training=True), args=(batch,))

    def run(*parts):
        """Outputs and moving means of the replicas."""
        batch = strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )
        outputs = strategy.experimental_local_results(step(batch))
        means = strategy.experimental_local_results(layer.moving_mean.value)
        return outputs, [mean.numpy() for mean in means]

    x = inputs((9, 3))
    outputs, means = run(x[:4], x[4:])
    for part, y, mean in zip((x[:4], x[4:]), outputs, means, strict=True):
        single = GhostBatchNormalization(ghost_batch_size=2, momentum=0.0)
        np.testing.assert_allclose(y, single(part, training=True), atol=1e-5)
        np.testing.assert_allclose(mean, single.moving_mean, atol=1e-5)
    outputs, later = run(x[:1], x[:0])
    assert outputs[1].shape == (0, 3)
    np.testing.assert_allclose(later[0], x[0], atol=1e-5)
    np.testing.assert_array_equal(later[1], means[1])


@pytest.mark.tensorflow
def test_fit_with_an_empty_replica_batch():
    """9 samples in batches of 4: the last one has none for replica 1, which
    turns the weights of a model with plain batch normalization into NaN."""
    with mirrored_strategy(2).scope():
        model = keras.Sequential(
            [
                keras.Input((3,)),
                keras.layers.Dense(4),
                GhostBatchNormalization(ghost_batch_size=2),
                keras.layers.Dense(1),
            ]
        )
        model.compile("sgd", "mse")
    x = inputs((9, 3))
    history = model.fit(x, x[:, :1], batch_size=4, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    for value in model.get_weights():
        assert np.isfinite(value).all()
