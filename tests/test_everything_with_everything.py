"""Every diagnostic, callback and optimizer, on every kind of model.

The tables are checked against `__all__`: a new public name has to be added to
them. Each runs on each kind of model that the package makes, and in each
precision in which a plain Keras model trains. Values are compared wherever
the result has to be that of the plain model.
"""

import itertools

import keras
import numpy as np
import pytest

import keras_lbreg as lbreg

pytestmark = pytest.mark.filterwarnings(
    "ignore:`GradientMix` has no effect",
    # JAX, of a float64 array that it is given.
    "ignore:Explicitly requested dtype float64",
)

JAX = keras.backend.backend() == "jax"
SHAPE = (5, 5, 2)
SAMPLES = 17  # an odd number, and with a ragged last batch
BATCH = 8


def plain():
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(3, 3, activation="tanh", name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dense(2, name="dense"),
        ],
        name="small",
    )


def ghost():
    return lbreg.apply_ghost_batch_norm(plain(), ghost_batch_size=4)


KINDS = {
    "plain": plain,
    "ghost": ghost,
    "DReg both": lambda: lbreg.apply_dreg(plain(), seed=1),
    "DReg split": lambda: lbreg.apply_dreg(plain(), seed=1, paths="split"),
    "ghost and DReg": lambda: lbreg.apply_dreg(ghost(), seed=1),
    "ghost and DReg split": lambda: lbreg.apply_dreg(
        ghost(), seed=1, paths="split"
    ),
}
DREG = [name for name in KINDS if "DReg" in name]

# Pairs of `floatx` and dtype policy.
PRECISIONS = {
    "float32": ("float32", "float32"),
    "float64": ("float64", "float64"),
    "float64 policy": ("float32", "float64"),
    "float16": ("float16", "float16"),
    "float16 policy": ("float32", "float16"),
    "bfloat16": ("bfloat16", "bfloat16"),
    "bfloat16 policy": ("float32", "bfloat16"),
    "mixed_float16": ("float32", "mixed_float16"),
    "mixed_bfloat16": ("float32", "mixed_bfloat16"),
}
if JAX:  # It has no float64 unless the whole process is told to.
    PRECISIONS = {
        name: which
        for name, which in PRECISIONS.items()
        if not name.startswith("float64")
    }
QUICK_PRECISIONS = ("float32", "float16", "mixed_bfloat16")


@pytest.fixture(autouse=True)
def float32_again():
    yield
    keras.config.set_floatx("float32")


def use(precision):
    floatx, policy = PRECISIONS[precision]
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


def x_and_y(dtype="float32", samples=SAMPLES):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, *SHAPE)).astype(dtype)
    return x, rng.normal(size=(samples, 2)).astype(dtype)


def compiled(kind, optimizer=None, loss="mse"):
    keras.utils.set_random_seed(0)
    model = KINDS[kind]()
    model.compile(optimizer or sgd(), loss)
    if optimizer is None:
        # TensorFlow traces a step twice if it creates variables. Those with an
        # optimizer of their own do it as Keras does.
        model.optimizer.build(model.trainable_variables)
    return model


def fit(model, **kwargs):
    x, y = x_and_y()
    kwargs = {"epochs": 1, "verbose": 0, "shuffle": False, **kwargs}
    return model.fit(x, y, batch_size=BATCH, **kwargs).history


def values(variables):
    return [
        np.asarray(
            keras.ops.convert_to_numpy(keras.ops.cast(v.value, "float64"))
            if keras.backend.is_float_dtype(v.dtype) and not JAX
            else keras.ops.convert_to_numpy(v.value)
        )
        for v in variables
    ]


def assert_trained(model, before, history):
    for name, numbers in history.items():
        assert np.isfinite(np.asarray(numbers, "float64")).all(), name
    for variable, value in zip(
        model.variables, values(model.variables), strict=True
    ):
        assert np.isfinite(value.astype("float64")).all(), variable.path
    after = values(model.trainable_variables)
    moved = [
        not np.array_equal(a, b) for a, b in zip(before, after, strict=True)
    ]
    # A small gradient may round away in half precision, not all of them.
    assert any(moved)
    assert moved[-1]


def slow_unless(quick, *values, name):
    marks = () if quick else (pytest.mark.slow,)
    return pytest.param(*values, id=name, marks=marks)


def kinds_and_precisions():
    return [
        slow_unless(
            (kind == WHOLE and precision in TRAINED)
            or (kind == "plain" and precision == "float32"),
            kind,
            precision,
            name=f"{kind} - {precision}",
        )
        for kind, precision in itertools.product(KINDS, PRECISIONS)
    ]


# It has all that the others have.
WHOLE = "ghost and DReg"
TRAINED = (*QUICK_PRECISIONS, "float64 policy")
EACH_KIND = [slow_unless(kind == WHOLE, kind, name=kind) for kind in KINDS]


# ---- Training ----


@pytest.mark.parametrize(("kind", "precision"), kinds_and_precisions())
def test_trains(kind, precision):
    use(precision)
    model = compiled(kind)
    before = values(model.trainable_variables)
    history = fit(model)
    assert_trained(model, before, history)
    x, y = x_and_y()
    loss = model.evaluate(x, y, verbose=0)
    # One number, as from the plain model; not a list with a distance.
    assert np.ndim(loss) == 0
    # Keras gives a tensor back in bfloat16.
    assert np.isfinite(float(keras.ops.cast(loss, "float32")))
    predicted = model.predict(x, verbose=0)
    assert predicted.shape == (SAMPLES, 2)


@pytest.mark.parametrize(
    ("kind", "precision"),
    [
        slow_unless(
            kind == WHOLE and precision in ("float32", "mixed_float16"),
            kind,
            precision,
            name=f"{kind} - {precision}",
        )
        for kind in ("plain", WHOLE)
        for precision in ("float32", "float16", "bfloat16", "mixed_float16")
    ],
)
def test_trains_compiled_and_with_a_known_batch_size(kind, precision):
    use(precision)
    model = compiled(kind)
    model.compile("sgd", "mse", jit_compile=True)
    before = values(model.trainable_variables)
    x, y = x_and_y(samples=16)
    history = model.fit(x, y, batch_size=8, verbose=0, epochs=1).history
    assert_trained(model, before, history)


def test_inference_is_that_of_the_plain_model():
    x, _ = x_and_y()
    expected = compiled("plain").predict(x, verbose=0)
    for kind in KINDS:
        np.testing.assert_allclose(
            compiled(kind).predict(x, verbose=0), expected, rtol=1e-6, atol=1e-6
        )


# ---- float64 is float64 ----


def ghost_statistics(x, size, momentum, statistics):
    """Moving statistics after one batch, in NumPy's float64."""
    count = max(1, len(x) // size)
    ghosts = np.split(x, [size * i for i in range(1, count)])
    result = []
    for moving, of in ((0.0, np.mean), (1.0, np.var)):
        each = [of(part, axis=0) for part in ghosts]
        moving = np.full(x.shape[-1], moving)
        if statistics == "mean":
            each = [np.mean(each, axis=0)]
        for value in each:
            moving = momentum * moving + (1 - momentum) * value
        result.append(moving)
    return result


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("statistics", ["sequential", "mean"])
@pytest.mark.parametrize("precision", ["float64", "float64 policy"])
def test_float64_moving_statistics(precision, statistics, jit):
    use(precision)
    layer = lbreg.GhostBatchNormalization(
        ghost_batch_size=4, momentum=0.9, statistics=statistics, name="norm"
    )
    model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=jit)
    x = np.random.default_rng(0).normal(2.0, 3.0, size=(18, 3))
    # Keras gives a model its arrays in `floatx`.
    x = x.astype(keras.config.floatx()).astype("float64")
    model.fit(x, np.zeros((18, 1)), batch_size=18, verbose=0, shuffle=False)
    expected = ghost_statistics(x, 4, 0.9, statistics)
    for variable, value in zip(
        (layer.moving_mean, layer.moving_variance), expected, strict=True
    ):
        assert variable.dtype == "float64"
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(variable), value, rtol=1e-12
        )


@pytest.mark.tensorflow
@pytest.mark.parametrize("precision", ["float64", "float64 policy"])
@pytest.mark.parametrize("paths", ["both", "split"])
@pytest.mark.parametrize("ghosts", [None, 3])
def test_float64_statistics_of_each_path(ghosts, paths, precision):
    """A batch norm behind a DReg layer, against NumPy."""
    use(precision)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(3, use_bias=False, name="dense"),
            keras.layers.BatchNormalization(momentum=0.9, name="norm"),
            keras.layers.Dense(1, name="last"),
        ]
    )
    if ghosts:
        model = lbreg.apply_ghost_batch_norm(model, ghosts)
    model = lbreg.apply_dreg(model, layer="dense", paths=paths)
    model.compile("sgd", "mse")
    dense = model.get_layer("dense")
    x = np.random.default_rng(0).normal(2.0, 3.0, size=(12, 3))
    x = x.astype(keras.config.floatx()).astype("float64")
    halves = (x, x) if paths == "both" else (x[:6], x[6:])
    expected = {}
    for path, half in zip(("right", "left"), halves, strict=True):
        kernel = dense.kernel if path == "right" else dense.kernel_left
        outputs = half @ keras.ops.convert_to_numpy(kernel)
        expected[path] = ghost_statistics(
            outputs, ghosts or len(half), 0.9, "sequential"
        )
    model.fit(x, np.zeros((12, 1)), batch_size=12, verbose=0, shuffle=False)
    norm = model.get_layer("norm")
    moving = [
        v for v in norm.variables if "moving" in v.name and "var" not in v.name
    ]
    moving += [v for v in norm.variables if "moving_variance" in v.name]
    wanted = [expected[path][i] for i in (0, 1) for path in ("right", "left")]
    for variable, value in zip(moving, wanted, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(variable),
            value,
            rtol=1e-12,
            err_msg=variable.path,
        )


@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", EACH_KIND)
def test_float64_policy_is_float64(kind):
    """The policy trains to the digits that `floatx` does."""

    def make():
        # Learning rate and loss are in `floatx`: a power of two, and float64.
        loss = keras.losses.MeanSquaredError(dtype="float64")
        sgd = keras.optimizers.SGD(2.0**-7, momentum=0.5)
        return compiled(kind, sgd, loss)

    use("float64")
    by_floatx = make()
    use("float64 policy")
    by_policy = make()
    for a, b in zip(by_policy.variables, by_floatx.variables, strict=True):
        a.assign(keras.ops.cast(b.value, a.dtype))
    fit(by_policy)
    use("float64")
    fit(by_floatx)
    for a, b in zip(
        values(by_policy.variables), values(by_floatx.variables), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


# ---- Optimizers ----

WRAPPERS = {
    "ReducedGradient": lbreg.ReducedGradient,
    "GradientMix": lambda inner: lbreg.GradientMix(inner, seed=1),
    "SquaredGradients": lbreg.SquaredGradients,
}
NOISE = {
    "GradientNoise": lambda inner: lbreg.GradientNoise(
        inner, alpha=1e-4, seed=1
    ),
    "nested": lambda inner: lbreg.GradientMix(
        lbreg.GradientNoise(inner, alpha=1e-4, seed=1), seed=2
    ),
}
LOSS_SCALE = {
    name: getattr(lbreg.optimizers, name)
    for name in ("LossScaleOptimizer",)
    if hasattr(lbreg.optimizers, name)
}
OWN = {
    "LARS": lambda: lbreg.LARS(0.1),
    "CoupledSGD": lambda: lbreg.CoupledSGD(0.01, momentum=0.9),
}


def sgd():
    return keras.optimizers.SGD(0.01, momentum=0.9)


OPTIMIZERS = {
    "plain": sgd,
    **{
        name: (lambda wrap=wrap: wrap(sgd()))
        for name, wrap in {**WRAPPERS, **NOISE, **LOSS_SCALE}.items()
    },
    **OWN,
    "wrapped LARS": lambda: NOISE["nested"](lbreg.LARS(0.1)),
}
# All that the others do is in them.
NESTED = ("wrapped LARS", *LOSS_SCALE, "SquaredGradients", "CoupledSGD")


def test_every_optimizer_is_in_the_table():
    assert set(lbreg.optimizers.__all__) <= set(OPTIMIZERS)


def optimizers_and_kinds():
    return [
        slow_unless(
            kind == WHOLE and optimizer in NESTED,
            optimizer,
            kind,
            name=f"{optimizer} - {kind}",
        )
        for optimizer, kind in itertools.product(OPTIMIZERS, KINDS)
    ]


@pytest.mark.parametrize(("optimizer", "kind"), optimizers_and_kinds())
def test_optimizer_trains_each_kind(optimizer, kind):
    model = compiled(kind, OPTIMIZERS[optimizer]())
    before = values(model.trainable_variables)
    assert_trained(model, before, fit(model))


@pytest.mark.parametrize(
    ("optimizer", "precision"),
    [
        slow_unless(
            precision
            == ("float16" if optimizer in NESTED else "mixed_bfloat16"),
            optimizer,
            precision,
            name=f"{optimizer} - {precision}",
        )
        for optimizer, precision in itertools.product(
            OPTIMIZERS, [p for p in PRECISIONS if p != "float32"]
        )
    ],
)
def test_optimizer_trains_in_each_precision(optimizer, precision):
    use(precision)
    model = compiled("plain", OPTIMIZERS[optimizer]())
    before = values(model.trainable_variables)
    assert_trained(model, before, fit(model))


@pytest.mark.parametrize("kind", EACH_KIND)
def test_wrappers_without_effect_train_as_the_bare_optimizer(kind):
    bare = compiled(kind, sgd())
    history = fit(bare)
    optimizer = sgd()
    for wrap in WRAPPERS.values():
        optimizer = wrap(optimizer)
    wrapped = compiled(kind, optimizer)
    assert fit(wrapped) == history
    for a, b in zip(
        values(bare.variables), values(wrapped.variables), strict=True
    ):
        np.testing.assert_array_equal(a, b)


INNER = {
    name: getattr(keras.optimizers, name)
    for name in (
        "SGD",
        "RMSprop",
        "Adam",
        "AdamW",
        "Adadelta",
        "Adagrad",
        "Adamax",
        "Adafactor",
        "Nadam",
        "Ftrl",
        "Lion",
        "Lamb",
        "Muon",
        "ScheduleFreeAdamW",
    )
    if hasattr(keras.optimizers, name)
}
OPTIONS = {
    "as it is": {},
    "clipnorm": {"clipnorm": 0.1},
    "global_clipnorm": {"global_clipnorm": 0.1},
    "clipvalue": {"clipvalue": 0.05},
    "weight_decay": {"weight_decay": 0.1},
    "ema": {
        "use_ema": True,
        "ema_momentum": 0.5,
        "ema_overwrite_frequency": 2,
    },
    "accumulation": {"gradient_accumulation_steps": 2},
    "loss_scale_factor": {"loss_scale_factor": 8.0},
    "all": {
        "global_clipnorm": 0.1,
        "weight_decay": 0.1,
        "use_ema": True,
        "gradient_accumulation_steps": 2,
    },
}


def trained_variables(optimizer, dtype="float32"):
    """Variables and the optimizer's own after five given gradients."""
    rng = np.random.default_rng(0)
    model = [
        keras.Variable(rng.normal(size=shape), dtype=dtype, name=name)
        for name, shape in (("kernel", (3, 4)), ("bias", (4,)))
    ]
    optimizer.build(model)
    for _ in range(5):
        gradients = [
            keras.ops.cast(rng.normal(size=v.shape), dtype) for v in model
        ]
        optimizer.apply(gradients, model)
    inner = optimizer
    while hasattr(inner, "inner_optimizer"):
        inner = inner.inner_optimizer
    return values([*model, *inner.variables])


@pytest.mark.parametrize(
    ("inner", "option"),
    [
        # A third of the pairs: three options each, a third of the optimizers.
        slow_unless((i + j) % 3 == 0, inner, option, name=f"{inner}-{option}")
        for i, inner in enumerate(INNER)
        for j, option in enumerate(OPTIONS)
    ],
)
def test_wrapped_update_is_the_bare_one(inner, option):
    """Bit for bit; or the wrapper refuses the optimizer by name."""
    kwargs = {"learning_rate": 0.1, **OPTIONS[option]}
    bare = trained_variables(INNER[inner](**kwargs))
    for name, wrap in WRAPPERS.items():
        try:
            wrapped = wrap(INNER[inner](**kwargs))
        except (TypeError, ValueError) as error:
            assert inner in str(error)  # noqa: PT017
            continue
        for a, b in zip(bare, trained_variables(wrapped), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize("inner", ["SGD", "Adam", "Nadam", "Lion"])
def test_wrapped_update_is_the_bare_one_in_each_dtype(inner, dtype):
    if JAX and dtype == "float64":
        pytest.skip("JAX has no float64 unless it is told to")
    bare = trained_variables(INNER[inner](0.1, global_clipnorm=1.0), dtype)
    for name, wrap in WRAPPERS.items():
        wrapped = wrap(INNER[inner](0.1, global_clipnorm=1.0))
        for a, b in zip(bare, trained_variables(wrapped, dtype), strict=True):
            # NaN equals NaN here, which NumPy does not know of bfloat16:
            # Keras's own Nadam ends there on JAX.
            np.testing.assert_array_equal(
                a.astype("float64"), b.astype("float64"), err_msg=name
            )


# ---- Callbacks ----

CALLBACKS = {
    "AverageReplicas": lambda path: lbreg.AverageReplicas(),
    "DRegPathSelection": lambda path: lbreg.DRegPathSelection(x_and_y()),
    "GradientNoiseScale": lambda path: lbreg.GradientNoiseScale(
        x_and_y(), small_batch=4, big_batch=8, pairs=2
    ),
    "LearningRateLogger": lambda path: lbreg.LearningRateLogger(),
    "MultiWorkerBackup": lambda path: lbreg.MultiWorkerBackup(
        path / "backup.npz"
    ),
    "ReestimateBatchNormalization": lambda path: (
        lbreg.callbacks.ReestimateBatchNormalization(x_and_y()[0])
    ),
    "WeightDistance": lambda path: lbreg.WeightDistance(per_layer=True),
}
# What each adds to the logs of every kind of model.
LOGGED = {
    "GradientNoiseScale": "gradient_noise_scale",
    "LearningRateLogger": "learning_rate",
    "WeightDistance": "weight_distance",
}


@pytest.fixture(scope="module")
def alone():
    """The variables of a model that was trained without a callback."""
    model = compiled("ghost and DReg")
    fit(model, epochs=2, validation_data=x_and_y())
    return values(model.variables)


PUBLIC_CALLBACKS = [
    name
    for name in sorted(lbreg.callbacks.__all__)
    if isinstance(getattr(lbreg.callbacks, name), type)
]


def test_every_callback_is_in_the_table():
    assert set(PUBLIC_CALLBACKS) <= set(CALLBACKS)


def run_callbacks(names, model, path):
    before = values(model.trainable_variables)
    history = fit(
        model,
        epochs=2,
        validation_data=x_and_y(),
        callbacks=[CALLBACKS[name](path) for name in names],
    )
    for name in set(names) & set(LOGGED):
        logged = history[LOGGED[name]]
        if name == "GradientNoiseScale":
            # A ratio of noise to signal: without a signal it is infinite.
            assert not np.isnan(history.pop(LOGGED[name])).any()
        else:
            assert np.all(np.asarray(logged) > 0)
    assert_trained(model, before, history)


def run_callback(name, model, path):
    run_callbacks([name], model, path)


def test_all_callbacks_together(tmp_path):
    use("mixed_bfloat16")
    run_callbacks(PUBLIC_CALLBACKS, compiled(WHOLE), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PUBLIC_CALLBACKS)
def test_callback_on_each_kind(name, kind, tmp_path):
    if name == "DRegPathSelection" and kind not in DREG:
        with pytest.raises(ValueError, match="DReg layer"):
            run_callback(name, compiled(kind), tmp_path)
        return
    run_callback(name, compiled(kind), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("precision", [p for p in PRECISIONS if p != "float32"])
@pytest.mark.parametrize("name", PUBLIC_CALLBACKS)
def test_callback_in_each_precision(name, precision, tmp_path):
    use(precision)
    run_callback(name, compiled("ghost and DReg"), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLIC_CALLBACKS)
def test_callback_with_a_wrapped_optimizer(name, tmp_path):
    kind = "DReg both" if name == "DRegPathSelection" else "plain"
    model = compiled(kind, OPTIMIZERS["nested"]())
    run_callback(name, model, tmp_path)


WATCHING = [
    name
    for name in PUBLIC_CALLBACKS
    if name not in ("DRegPathSelection", "ReestimateBatchNormalization")
]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(WATCHING, id="all"),
        *(slow_unless(False, [name], name=name) for name in WATCHING),
    ],
)
def test_callbacks_that_only_watch_change_nothing(names, tmp_path, alone):
    watched = compiled(WHOLE)
    run_callbacks(names, watched, tmp_path)
    for a, b in zip(alone, values(watched.variables), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- Diagnostics ----


def interpolate(model):
    other = keras.models.clone_model(model)
    other.set_weights([0.9 * w for w in model.get_weights()])
    line = lbreg.interpolate(
        model, other, x_and_y(), positions=[0.0, 0.5, 1.0], loss="mse"
    )
    return np.ravel(line.loss["data"])


DIAGNOSTICS = {
    "sharpness": lambda model: (
        lbreg.sharpness(model, *x_and_y(), iterations=2).sharpness
    ),
    "hessian_top_eigenvalue": lambda model: (
        lbreg.hessian_top_eigenvalue(
            model, *x_and_y(), tolerance=1e-4
        ).eigenvalue
    ),
    "gradient_noise_scale": lambda model: (
        lbreg.gradient_noise_scale(
            model, *x_and_y(samples=16), small_batch=2, big_batch=8, pairs=3
        ).noise
    ),
    "interpolate": interpolate,
}


def test_every_diagnostic_is_in_the_table():
    functions = {n for n in lbreg.analysis.__all__ if n == n.lower()}
    assert functions <= set(DIAGNOSTICS)


def diagnosed(kind):
    """A model with moving statistics that are not the first ones."""
    model = compiled(kind)
    norm = model.get_layer("norm")
    rng = np.random.default_rng(1)
    for variable in norm.variables:
        if "moving" in variable.name:
            variance = "variance" in variable.name
            value = rng.uniform(0.5, 1.0, 3) if variance else 0.2
            variable.assign(keras.ops.ones(3, variable.dtype) * value)
            rng = np.random.default_rng(1)
    return model


@pytest.mark.parametrize("kind", EACH_KIND)
@pytest.mark.parametrize("name", DIAGNOSTICS)
def test_diagnostic_on_each_kind(name, kind):
    model = diagnosed(kind)
    before = values(model.variables)
    result = DIAGNOSTICS[name](model)
    assert np.isfinite(result).all()
    for a, b in zip(before, values(model.variables), strict=True):
        np.testing.assert_array_equal(a, b)
    # The loss is that of inference, which is the plain network's. Gradient
    # noise is measured in training, and half a batch is another.
    if name != "gradient_noise_scale":
        expected = DIAGNOSTICS[name](diagnosed("plain"))
        np.testing.assert_allclose(result, expected, rtol=2e-3)


@pytest.mark.parametrize("name", DIAGNOSTICS)
@pytest.mark.parametrize("optimizer", ["nested", "LARS"])
def test_diagnostic_with_another_optimizer(name, optimizer):
    model = diagnosed("plain")
    model.compile(OPTIMIZERS[optimizer](), "mse")
    np.testing.assert_array_equal(
        DIAGNOSTICS[name](model), DIAGNOSTICS[name](diagnosed("plain"))
    )


@pytest.mark.parametrize(
    ("name", "kind", "precision"),
    [
        slow_unless(
            kind == "plain" and precision in QUICK_PRECISIONS,
            name,
            kind,
            precision,
            name=f"{name} - {kind} - {precision}",
        )
        for name, kind, precision in itertools.product(
            DIAGNOSTICS,
            ("plain", "ghost and DReg", "DReg split"),
            [p for p in PRECISIONS if p != "float32"],
        )
    ],
)
def test_diagnostic_in_each_precision(name, kind, precision):
    model = diagnosed(kind)
    expected = DIAGNOSTICS[name](model)
    weights = model.get_weights()
    use(precision)
    model = diagnosed(kind)
    # Another precision draws other initial weights.
    model.set_weights(weights)
    result = DIAGNOSTICS[name](model)
    assert np.isfinite(result).all()
    # In half precision the rounding of the loss is part of what is measured.
    if precision.startswith("float64") and name != "gradient_noise_scale":
        np.testing.assert_allclose(result, expected, rtol=1e-3)
