"""What the three DReg layers have in common."""

import inspect

import keras
import numpy as np
import pytest

import keras_lbreg
from tests.checks.layer import run_layer_test, save_and_load
from tests.checks.variable_gradients import gradients

to_numpy = keras.ops.convert_to_numpy

CASES = {
    "conv": (
        keras_lbreg.DRegConv2D,
        keras.layers.Conv2D,
        {"filters": 4, "kernel_size": 3, "activation": "relu"},
        (6, 5, 5, 2),
    ),
    "grouped": (
        keras_lbreg.DRegConv2D,
        keras.layers.Conv2D,
        {
            "filters": 4,
            "kernel_size": 2,
            "groups": 2,
            "dilation_rate": 2,
            "padding": "same",
            "use_bias": False,
        },
        (6, 5, 5, 2),
    ),
    "depthwise": (
        keras_lbreg.DRegDepthwiseConv2D,
        keras.layers.DepthwiseConv2D,
        {"kernel_size": 3, "strides": 2, "depth_multiplier": 2},
        (6, 5, 5, 2),
    ),
    "dense": (
        keras_lbreg.DRegDense,
        keras.layers.Dense,
        {"units": 3, "activation": "tanh"},
        (6, 4),
    ),
    "dense_3d": (
        keras_lbreg.DRegDense,
        keras.layers.Dense,
        {"units": 3},
        (6, 2, 4),
    ),
}


@pytest.fixture(params=list(CASES))
def case(request):
    return CASES[request.param]


def inputs_of(shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def make(case, **kwargs):
    """A DReg layer, the plain layers of its two paths, and inputs."""
    twin_class, plain_class, config, shape = case
    kwargs = {"init_distance": 1.0, "bias_initializer": "ones", **kwargs}
    layer = twin_class(**config, **kwargs)
    x = inputs_of(shape)
    layer(x)
    plain = []
    for kernel in (layer.kernel, layer.kernel_left):
        path = plain_class(**config)
        path.build(shape)
        path.set_weights(
            [to_numpy(kernel)] + [to_numpy(layer.bias)] * layer.use_bias
        )
        plain.append(path)
    return layer, *plain, x


def test_layer(case):
    twin_class, _, config, shape = case
    # Half precision has tests of its own; one half type a layer is enough.
    half = "mixed_bfloat16" if config.get("groups") else "mixed_float16"
    run_layer_test(
        twin_class,
        {**config, "weight": 0.2, "max_distance": 3.0, "seed": 1},
        shape,
        dtypes=(half,),
    )


@pytest.mark.parametrize("size", [6, 5, 2, 1])
def test_split_sends_each_half_along_one_path(case, size):
    layer, right, left, x = make(case)
    x = x[:size]
    middle = (size + 1) // 2
    outputs = to_numpy(layer(x, training=True))
    assert outputs.shape[0] == size
    np.testing.assert_allclose(
        outputs[:middle], to_numpy(right(x))[:middle], atol=1e-5
    )
    np.testing.assert_allclose(
        outputs[middle:], to_numpy(left(x))[middle:], atol=1e-5
    )


def test_both_stacks_the_paths(case):
    layer, right, left, x = make(case, paths="both")
    outputs = to_numpy(layer(x, training=True))
    np.testing.assert_allclose(outputs[:6], right(x), atol=1e-5)
    np.testing.assert_allclose(outputs[6:], left(x), atol=1e-5)


@pytest.mark.parametrize("paths", ["split", "both"])
def test_inference_takes_the_active_path(case, paths):
    layer, right, left, x = make(case, paths=paths)
    assert layer.active_path == "right"
    np.testing.assert_allclose(layer(x), right(x), atol=1e-5)
    layer.active_path = "left"
    assert layer.active_path == "left"
    np.testing.assert_allclose(layer(x), left(x), atol=1e-5)
    assert layer.losses == []


def test_gradients_of_a_batch_of_one_are_the_right_paths():
    layer, *_, x = make(CASES["depthwise"], weight=0.0)
    _, (right, left) = gradients(
        lambda: keras.ops.sum(layer(x[:1], training=True)),
        [layer.kernel, layer.kernel_left],
    )
    assert np.abs(right).max() > 0
    assert np.abs(left).max() == 0


def test_the_penalty_is_added_once_in_training_only():
    layer, *_, x = make(CASES["dense"], distance="frobenius", weight=0.5)
    difference = to_numpy(layer.kernel) - to_numpy(layer.kernel_left)

    inputs = keras.Input((4,))
    shared = layer(inputs) + layer(2 * inputs)
    model = keras.Model(inputs, shared)
    model(x, training=True)
    (penalty,) = model.losses
    np.testing.assert_allclose(penalty, -0.5 * np.sum(difference**2), rtol=1e-5)
    assert keras.backend.standardize_dtype(penalty.dtype) == "float32"
    model(x, training=False)
    assert model.losses == []
    model(x, training=True)
    assert len(model.losses) == 1


def test_the_penalty_of_a_shared_layer_counts_once_in_fit():
    # Losses travel another way under JAX: look at what `fit` reports.
    inputs = keras.Input((4,))
    layer = keras_lbreg.DRegDense(
        4, weight=1.0, init_distance=1.0, distance="frobenius"
    )
    model = keras.Model(inputs, 0.0 * layer(layer(inputs)))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    difference = to_numpy(layer.kernel) - to_numpy(layer.kernel_left)
    x = inputs_of((6, 4))
    logs = model.fit(x, np.zeros((6, 4)), batch_size=6, verbose=0).history
    assert logs["loss"] == [pytest.approx(-np.sum(difference**2), rel=1e-4)]


@pytest.mark.parametrize("distance", ["bounded", "frobenius"])
def test_the_penalty_is_that_of_the_kernels(case, distance):
    layer, *_, x = make(case, distance=distance, weight=0.5)
    layer.kernel.assign(3 * to_numpy(layer.kernel))
    right, left = to_numpy(layer.kernel), to_numpy(layer.kernel_left)
    expected = np.sum((right - left) ** 2)
    if distance == "bounded":
        start = np.sum((right / 3) ** 2) + np.sum(left**2)
        expected *= start / (np.sum(right**2) + np.sum(left**2))
    layer(x, training=True)
    (penalty,) = layer.losses
    np.testing.assert_allclose(penalty, -0.5 * expected, rtol=1e-5)


def sum_of_squares(layer):
    return sum(
        np.sum(to_numpy(k).astype("float64") ** 2)
        for k in (layer.kernel, layer.kernel_left)
    )


def test_n0_is_that_of_the_start_and_is_saved(case, tmp_path):
    twin_class, _, config, shape = case

    def new():
        layer = twin_class(**config)
        return keras.Sequential([keras.Input(shape[1:]), layer]), layer

    model, layer = new()
    start = sum_of_squares(layer)
    assert float(layer.initial_size.value) == pytest.approx(start, rel=1e-6)
    layer.kernel.assign(2 * to_numpy(layer.kernel))
    assert float(layer.initial_size.value) == pytest.approx(start, rel=1e-6)
    model.save_weights(tmp_path / "x.weights.h5")
    again, other = new()
    again.load_weights(tmp_path / "x.weights.h5")
    assert float(other.initial_size.value) == pytest.approx(start, rel=1e-6)
    again, other = new()
    again.set_weights(model.get_weights())
    assert float(other.initial_size.value) == pytest.approx(start, rel=1e-6)
    layer.reset_left()
    assert float(layer.initial_size.value) == pytest.approx(
        sum_of_squares(layer), rel=1e-6
    )


def test_a_kernel_of_zeros_has_no_second():
    layer = keras_lbreg.DRegDense(2, kernel_initializer="zeros", name="top")
    layer.build((None, 3))
    with pytest.raises(ValueError, match="kernel of layer 'top' is zero"):
        layer.reset_left()


class Subclassed(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.flat = keras.layers.Flatten()
        self.top = keras.layers.Dense(1)

    def call(self, x, training=None):
        return self.top(self.flat(self.layer(x, training=training)))


def sequential_of(layer):
    return keras.Sequential(
        [layer, keras.layers.Flatten(), keras.layers.Dense(1)]
    )


@pytest.mark.parametrize(
    ("kind", "jit_compile"), [(sequential_of, False), (Subclassed, True)]
)
@pytest.mark.parametrize("name", ["conv", "dense"])
def test_layers_that_the_first_batch_builds(kind, jit_compile, name):
    twin_class, _, config, shape = CASES[name]
    layer = twin_class(**config, init_distance=0.5, weight=0.0)
    model = kind(layer)
    model.compile("sgd", "mse", metrics=["mae"], jit_compile=jit_compile)
    x = inputs_of(shape)
    model.evaluate(x, np.ones((6, 1)), batch_size=6, verbose=0)
    right, left = to_numpy(layer.kernel), to_numpy(layer.kernel_left)
    relative = np.linalg.norm(left - right) / np.linalg.norm(right)
    assert relative == pytest.approx(0.5, rel=1e-3)
    assert float(layer.initial_size.value) == pytest.approx(
        sum_of_squares(layer), rel=1e-5
    )
    model.fit(x, np.ones((6, 1)), batch_size=6, verbose=0)
    # Each kernel has learned from its half of the batch.
    for kernel, before in ((layer.kernel, right), (layer.kernel_left, left)):
        assert np.abs(to_numpy(kernel) - before).max() > 0


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="needs JAX")
@pytest.mark.parametrize("paths", ["split", "both"])
def test_no_tracer_is_kept(paths):
    import jax

    layer, *_, x = make(CASES["conv"], paths=paths)
    trained = [v.value for v in layer.trainable_variables]
    other = [v.value for v in layer.non_trainable_variables]
    with jax.checking_leaks():
        *_, losses = jax.jit(
            lambda t: layer.stateless_call(
                t, other, x, training=True, return_losses=True
            )
        )(trained)
    assert len(losses) == 1


def test_first_kernels_are_slightly_distinctive(case):
    twin_class, _, config, shape = case
    layer = twin_class(**config, seed=3)
    layer.build(shape)
    right, left = to_numpy(layer.kernel), to_numpy(layer.kernel_left)
    relative = np.linalg.norm(left - right) / np.linalg.norm(right)
    assert relative == pytest.approx(0.01, rel=1e-3)
    # The same seed gives the same perturbation of the same kernel.
    layer.kernel_left.assign(np.zeros_like(left))
    layer.reset_left()
    np.testing.assert_allclose(layer.kernel_left, left, rtol=1e-6)


def test_the_small_difference_survives_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer, *_, x = make(
        CASES["dense"], init_distance=1e-3, distance="frobenius", weight=1.0
    )
    expected = np.sum(
        np.square(to_numpy(layer.kernel) - to_numpy(layer.kernel_left))
    )
    outputs = layer(x, training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    np.testing.assert_allclose(layer.losses[0], -expected, rtol=1e-5)


@pytest.mark.tensorflow  # JAX has no float64 unless it is told to.
@pytest.mark.parametrize("name", list(CASES))
def test_float64(name):
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        layer, *_, x = make(CASES[name], init_distance=0.01)
        kernels = to_numpy(layer.kernel), to_numpy(layer.kernel_left)
        layer.reset_left()
    finally:
        keras.config.set_floatx("float32")
    norms = np.linalg.norm(kernels[1] - kernels[0]), np.linalg.norm(kernels[0])
    assert norms[0] / norms[1] == pytest.approx(0.01, rel=1e-3)
    assert kernels[1].dtype == np.float64
    assert to_numpy(layer(x)).dtype == np.float64


def test_save_and_load(case, tmp_path):
    twin_class, _, config, shape = case
    model = keras.Sequential(
        [keras.Input(shape[1:]), twin_class(**config, init_distance=1.0)]
    )
    layer = model.layers[-1]
    layer.active_path = "left"
    x = inputs_of(shape)
    again = save_and_load(model, tmp_path)
    assert again.layers[-1].active_path == "left"
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(again(x), model(x))


def test_regularizer_and_constraint_hold_for_both_kernels():
    layer = keras_lbreg.DRegDense(
        2,
        kernel_regularizer=keras.regularizers.L2(0.5),
        kernel_constraint="non_neg",
    )
    layer.build((None, 3))
    squares = sum(
        np.sum(to_numpy(k) ** 2) for k in (layer.kernel, layer.kernel_left)
    )
    np.testing.assert_allclose(sum(layer.losses), 0.5 * squares, rtol=1e-5)
    assert layer.kernel_left.constraint is layer.kernel.constraint


def test_masks_follow_the_paths():
    x = np.array([[[1.0], [0.0]], [[1.0], [1.0]]], "float32")
    masked = keras.layers.Masking()(x)
    both = keras_lbreg.DRegDense(1, paths="both")
    outputs = both(masked, training=True)
    mask = to_numpy(keras.layers.Masking().compute_mask(x))
    outputs_mask = outputs._keras_mask
    np.testing.assert_array_equal(outputs_mask, np.concatenate([mask, mask]))
    # A loss of 1 everywhere counts what the mask holds: 6 of 8.
    loss = keras.losses.MeanSquaredError(reduction="sum")
    count = float(loss(to_numpy(outputs) + 1, outputs))
    assert count == pytest.approx(6.0, rel=1e-5)


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_unknown_batch_size_and_switching_without_retracing(jit_compile):
    import tensorflow as tf

    layer, right, left, x = make(CASES["conv"])
    traces = []

    @tf.function(
        input_signature=[tf.TensorSpec((None, 5, 5, 2))],
        jit_compile=jit_compile,
    )
    def call(x):
        traces.append(1)
        return layer(x, training=True), layer(x, training=False)

    for size in (1, 2, 5):
        split, _ = call(x[:size])
        middle = (size + 1) // 2
        assert split.shape[0] == size
        np.testing.assert_allclose(
            split[middle:], to_numpy(left(x))[middle:size], atol=1e-5
        )
    np.testing.assert_allclose(call(x)[1], right(x), atol=1e-5)
    layer.active_path = "left"
    np.testing.assert_allclose(call(x)[1], left(x), atol=1e-5)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("weight", -0.1),
        ("weight", float("nan")),
        ("distance", "cosine"),
        ("max_distance", 0.0),
        ("init_distance", 0.0),
        ("init_distance", "far"),
        ("weight", float("inf")),
        ("distance", "relative"),
        ("dtype", "int8_from_float32"),
        ("dtype", "float8_from_mixed_bfloat16"),
        ("paths", "all"),
        ("lora_rank", 2),
    ],
)
def test_invalid_arguments(argument, value):
    with pytest.raises(ValueError, match=f"argument `{argument}`") as error:
        keras_lbreg.DRegDense(2, **{argument: value})
    assert f"{argument}=" in str(error.value)


def test_numpy_scalars_are_numbers():
    layer = keras_lbreg.DRegDense(
        2,
        weight=np.float32(0.5),
        init_distance=np.float64(0.1),
        max_distance=np.int64(3),
        seed=np.int32(1),
    )
    config = layer.get_config()
    assert [config[name] for name in ("weight", "max_distance", "seed")] == [
        0.5,
        3.0,
        1,
    ]
    assert {type(config[n]) for n in ("weight", "init_distance")} == {float}


@pytest.mark.parametrize("name", ["conv", "depthwise", "dense"])
def test_the_signature_is_that_of_keras_and_ours(name):
    twin_class, plain_class, *_ = CASES[name]
    found = inspect.signature(twin_class.__init__).parameters
    keras_parameters = inspect.signature(plain_class.__init__).parameters
    for key, parameter in keras_parameters.items():
        if not key.startswith(("lora", "quantization")):
            assert found[key].default == parameter.default
            assert f"        {key}:" in twin_class.__doc__ or key in (
                "self",
                "kwargs",
            )
    for key in set(found) - set(keras_parameters):
        assert f"        {key}: " in twin_class.__doc__
    assert not any(p.kind is p.VAR_POSITIONAL for p in found.values())


@pytest.mark.parametrize("size", [6, 5, 1])
@pytest.mark.parametrize("paths", ["split", "both"])
def test_sparse_inputs(paths, size):
    layer, right, *_ = make(CASES["dense"], paths=paths)
    x = np.eye(6, 4, dtype="float32")[:size] * 2
    if keras.backend.backend() == "jax":
        from jax.experimental import sparse

        inputs = sparse.BCOO.fromdense(x)
    else:
        import tensorflow as tf

        inputs = tf.sparse.from_dense(x)
    np.testing.assert_allclose(layer(inputs), right(x), atol=1e-6)
    outputs = to_numpy(layer(inputs, training=True))
    np.testing.assert_allclose(outputs, layer(x, training=True), atol=1e-6)


def test_invalid_active_path():
    layer, *_ = make(CASES["dense"])
    with pytest.raises(ValueError, match=r"Received: path='up'"):
        layer.active_path = "up"


def test_lora_and_quantization_are_refused():
    layer, *_ = make(CASES["dense"])
    with pytest.raises(ValueError, match="LoRA cannot be enabled"):
        layer.enable_lora(2)
    with pytest.raises(ValueError, match="cannot be quantized"):
        layer.quantize("int8")


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow",
    reason="TensorFlow has no channels_first convolution on the CPU",
)
def test_channels_first():
    case = (
        keras_lbreg.DRegConv2D,
        keras.layers.Conv2D,
        {"filters": 3, "kernel_size": 2, "data_format": "channels_first"},
        (6, 2, 5, 4),
    )
    layer, right, left, x = make(case, paths="both")
    outputs = layer(x, training=True)
    np.testing.assert_allclose(outputs[:6], right(x), atol=1e-5)
    np.testing.assert_allclose(outputs[6:], left(x), atol=1e-5)
