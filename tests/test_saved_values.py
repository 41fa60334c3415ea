"""Every value survives every way of saving.

All variables of a source object get values of their own (kernels, statistics,
active paths, seeds, momentum, averages, accumulators, loss scales, ...), are
saved, and restored into a fresh object whose variables held other values.
Then all of them are compared, bit for bit. That nothing was raised says
little: TensorFlow does not follow lists of variables in Keras layers, and
`assert_existing_objects_matched` does not notice.

Rows named "plain" are Keras's own classes. They show that a way of saving
keeps such values at all.
"""

import copy
import pickle

import keras
import numpy as np
import pytest

import keras_lbreg as lbreg

pytestmark = pytest.mark.filterwarnings("ignore:`GradientMix` has no effect")

SHAPE = (6, 6, 2)
TENSORFLOW = pytest.mark.tensorflow


def x_and_y(samples=8):
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(samples, *SHAPE)).astype("float32"),
        rng.normal(size=(samples, 2)).astype("float32"),
    )


# ---- What is saved ----


def plain():
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(3, 3, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(2, name="dense"),
        ],
        name="small",
    )


def tiny():
    """A model for optimizers: what they keep does not depend on it."""
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(2, name="dense"),
        ],
        name="small",
    )


def one(make_layer):
    """A model whose first layer is the given one."""
    return lambda: keras.Sequential(
        [
            keras.Input(SHAPE),
            make_layer(),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(2, name="dense"),
        ],
        name="small",
    )


def ghost(model):
    return lbreg.apply_ghost_batch_norm(model, ghost_batch_size=2)


def nested():
    inner = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(3, 3, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
        ],
        name="backbone",
    )
    inputs = keras.Input(SHAPE)
    x = keras.layers.Flatten(name="flat")(inner(inputs))
    outputs = keras.layers.Dense(2, name="dense")(x)
    return lbreg.apply_dreg(keras.Model(inputs, outputs), layer="backbone/conv")


LAYERS = {
    "plain Conv2D": lambda: keras.layers.Conv2D(3, 3, name="layer"),
    "GhostBatchNormalization": lambda: lbreg.GhostBatchNormalization(
        ghost_batch_size=2, name="layer"
    ),
    "DRegConv2D": lambda: lbreg.DRegConv2D(3, 3, name="layer"),
    "DRegDepthwiseConv2D": lambda: lbreg.DRegDepthwiseConv2D(3, name="layer"),
    "DRegDense": lambda: lbreg.DRegDense(3, name="layer"),
    "DRegDense frobenius": lambda: lbreg.DRegDense(
        3, distance="frobenius", name="layer"
    ),
}

MODELS = {
    "plain": plain,
    "tiny": tiny,
    **{name: one(make) for name, make in LAYERS.items()},
    "ghost": lambda: ghost(plain()),
    "DReg both": lambda: lbreg.apply_dreg(plain()),
    "DReg split": lambda: lbreg.apply_dreg(plain(), paths="split"),
    "DReg dense": lambda: lbreg.apply_dreg(plain(), layer="dense"),
    "ghost and DReg": lambda: lbreg.apply_dreg(ghost(plain())),
    "DReg in a nested model": nested,
}


def sgd(**kwargs):
    return keras.optimizers.SGD(0.1, momentum=0.9, **kwargs)


def adam(**kwargs):
    return keras.optimizers.Adam(0.1, **kwargs)


def noise(inner):
    return lbreg.GradientNoise(inner, alpha=0.1, seed=3)


def mix(inner):
    return lbreg.GradientMix(inner, seed=4)


OPTIMIZERS = {
    "plain SGD": sgd,
    "plain Adam": adam,
    "plain Adam averaged": lambda: adam(use_ema=True),
    "plain Adam accumulating": lambda: adam(gradient_accumulation_steps=3),
    "plain LossScaleOptimizer": lambda: keras.optimizers.LossScaleOptimizer(
        adam()
    ),
    "GradientNoise": lambda: noise(sgd()),
    "GradientMix": lambda: mix(adam()),
    "ReducedGradient": lambda: lbreg.ReducedGradient(adam()),
    "ReducedGradient of Nadam": lambda: lbreg.ReducedGradient(
        keras.optimizers.Nadam(0.1)
    ),
    "SquaredGradients": lambda: lbreg.SquaredGradients(sgd()),
    "LARS": lambda: lbreg.LARS(0.1),
    "CoupledSGD": lambda: lbreg.CoupledSGD(0.1, momentum=0.9),
    "nested": lambda: mix(noise(adam())),
    "nested the other way": lambda: noise(mix(adam())),
    "nested three times": lambda: lbreg.SquaredGradients(mix(noise(sgd()))),
    "averaged": lambda: noise(adam(use_ema=True)),
    "accumulating": lambda: noise(adam(gradient_accumulation_steps=3)),
    "averaged and accumulating": lambda: mix(
        noise(adam(use_ema=True, gradient_accumulation_steps=3))
    ),
    "averaged LARS": lambda: noise(lbreg.LARS(0.1, use_ema=True)),
    "Keras's loss scaling": lambda: keras.optimizers.LossScaleOptimizer(
        mix(noise(adam()))
    ),
    "loss scaling": lambda: lbreg.optimizers.LossScaleOptimizer(
        mix(noise(adam()))
    ),
    "schedule": lambda: noise(
        keras.optimizers.SGD(
            keras.optimizers.schedules.CosineDecay(0.1, 10), momentum=0.9
        )
    ),
}


def make_optimizer(name):
    scaling = hasattr(lbreg.optimizers, "LossScaleOptimizer")
    if name == "loss scaling" and not scaling:
        pytest.skip("there is no `keras_lbreg.LossScaleOptimizer`")
    return OPTIMIZERS[name]()


# Every model with an optimizer of Keras, every optimizer with a plain model,
# and all together.
BOTH = [
    *((model, "plain SGD") for model in MODELS if model != "tiny"),
    *(("tiny", optimizer) for optimizer in OPTIMIZERS),
    ("ghost and DReg", "averaged and accumulating"),
]
QUICK = (
    "plain SGD",
    "loss scaling",
    "averaged and accumulating",
)


# It has all that the others have.
WHOLE = "ghost and DReg"
SLOW = pytest.mark.slow


def quick_models(*quick):
    """All models; those that are not named are slow."""
    return [
        pytest.param(name, marks=() if name in quick else SLOW)
        for name in MODELS
    ]


def rows(cases, quick=QUICK):
    """Parameters; those whose optimizer is not a quick one are slow."""
    cases = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [
        pytest.param(
            case if len(case) > 1 else case[0],
            id=" - ".join(case),
            marks=() if case[-1] in quick else SLOW,
        )
        for case in cases
    ]


def ways(names, quick):
    return [
        pytest.param(name, marks=() if name in quick else pytest.mark.slow)
        for name in names
    ]


def compiled(case):
    model, optimizer = case
    model = MODELS[model]()
    # Not by its name: files of the legacy format do not load then.
    model.compile(make_optimizer(optimizer), keras.losses.MeanSquaredError())
    model.optimizer.build(model.trainable_variables)
    return model


def variables(model):
    return [*model.variables, *model.optimizer.variables]


# ---- Values of their own ----


def numpy(variable):
    return keras.ops.convert_to_numpy(variable.value)


def scramble(of, seed):
    """Gives each variable a value of its own; flags are set for seed 1."""
    rng = np.random.default_rng(seed)
    for variable in of:
        dtype = keras.backend.standardize_dtype(variable.dtype)
        shape = tuple(variable.shape)
        if dtype == "bool":
            value = np.full(shape, seed == 1)
        elif keras.backend.is_float_dtype(dtype):
            # Positive, as variances and loss scales are.
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.integers(100, 10000, shape)
        variable.assign(keras.ops.cast(value, dtype))


def assert_same(restored, source):
    lost = [
        variable.path
        for variable, other in zip(restored, source, strict=True)
        if variable.dtype != other.dtype
        or not np.array_equal(numpy(variable), numpy(other))
    ]
    assert not lost, f"not restored: {lost}"


def source_and_fresh(case):
    source, fresh = compiled(case), compiled(case)
    scramble(variables(source), 1)
    scramble(variables(fresh), 2)
    return source, fresh


# ---- Ways of saving a compiled model ----
# Each takes the source, a fresh model of the same kind, and a folder, and
# returns the model that is to be equal to the source.


def keras_file(source, fresh, folder):
    source.save(folder / "m.keras")
    return keras.saving.load_model(folder / "m.keras")


def weights_file(source, fresh, folder):
    source.save_weights(folder / "m.weights.h5")
    fresh.load_weights(folder / "m.weights.h5")
    return fresh


def weights_of_keras_file(source, fresh, folder):
    source.save(folder / "m.keras")
    fresh.load_weights(folder / "m.keras")
    # Keras leaves the optimizer alone here.
    fresh.optimizer = source.optimizer
    return fresh


def pickled(source, fresh, folder):
    return pickle.loads(pickle.dumps(source))


def copied(source, fresh, folder):
    return copy.deepcopy(source)


def numpy_values(source, fresh, folder):
    if type(fresh.optimizer) is keras.optimizers.LossScaleOptimizer:
        pytest.skip("Keras's own sets its two variables, not the inner ones")
    fresh.set_weights(source.get_weights())
    fresh.optimizer.set_weights([numpy(v) for v in source.optimizer.variables])
    own = {id(v) for v in fresh.weights}
    for variable, other in zip(fresh.variables, source.variables, strict=True):
        # `set_weights` leaves out the states of seed generators.
        if id(variable) not in own:
            variable.assign(other)
    return fresh


def checkpoint(**names):
    """`tf.train.Checkpoint` of parts of the model, by attribute."""

    def save_and_restore(source, fresh, folder):
        import tensorflow as tf

        def parts(model):
            return {
                key: model if name is None else getattr(model, name)
                for key, name in names.items()
            }

        path = tf.train.Checkpoint(**parts(source)).save(folder / "c")
        status = tf.train.Checkpoint(**parts(fresh)).restore(path)
        status.assert_existing_objects_matched()
        return fresh

    return save_and_restore


def deferred_checkpoint(source, fresh, folder):
    """Restored before the optimizer has slots, as in a restarted program."""
    import tensorflow as tf

    path = tf.train.Checkpoint(model=source, optimizer=source.optimizer).save(
        folder / "c"
    )
    config = keras.saving.serialize_keras_object(source.optimizer)
    optimizer = keras.saving.deserialize_keras_object(config)
    fresh.compile(optimizer, "mse")
    tf.train.Checkpoint(model=fresh, optimizer=optimizer).restore(path)
    optimizer.build(fresh.trainable_variables)
    return fresh


WAYS = {
    "keras": keras_file,
    "weights_h5": weights_file,
    "weights_of_keras": weights_of_keras_file,
    "pickle": pickled,
    "deepcopy": copied,
    "numpy": numpy_values,
}
CHECKPOINTS = {
    "model": checkpoint(model=None),
    "model_and_optimizer": checkpoint(model=None, optimizer="optimizer"),
    "deferred": deferred_checkpoint,
}


@pytest.mark.parametrize("case", rows(BOTH))
@pytest.mark.parametrize("way", ways(WAYS, ("keras", "weights_h5", "numpy")))
def test_saved_model(way, case, tmp_path):
    source, fresh = source_and_fresh(case)
    restored = WAYS[way](source, fresh, tmp_path)
    assert_same(variables(restored), variables(source))
    x, _ = x_and_y()
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(restored(x)),
        keras.ops.convert_to_numpy(source(x)),
    )


@TENSORFLOW
@pytest.mark.parametrize("case", rows(BOTH))
@pytest.mark.parametrize("way", ways(CHECKPOINTS, ("deferred",)))
def test_checkpoint_of_model(way, case, tmp_path):
    source, fresh = source_and_fresh(case)
    restored = CHECKPOINTS[way](source, fresh, tmp_path)
    assert_same(variables(restored), variables(source))


@TENSORFLOW
@pytest.mark.parametrize("name", rows(OPTIMIZERS))
def test_checkpoint_of_optimizer_alone(name, tmp_path):
    source, fresh = source_and_fresh(("tiny", name))
    checkpoint(optimizer="optimizer")(source, fresh, tmp_path)
    assert_same(fresh.optimizer.variables, source.optimizer.variables)


@TENSORFLOW
@pytest.mark.parametrize("name", MODELS)
def test_checkpoint_of_layers_alone(name, tmp_path):
    import tensorflow as tf

    source, fresh = source_and_fresh((name, "plain SGD"))
    for index, (old, new) in enumerate(
        zip(source.layers, fresh.layers, strict=True)
    ):
        if old.variables:
            path = tf.train.Checkpoint(layer=old).save(tmp_path / f"c{index}")
            status = tf.train.Checkpoint(layer=new).restore(path)
            status.assert_existing_objects_matched()
        assert_same(new.variables, old.variables)


# ---- The legacy format ----


def legacy_file(source, path):
    """The model from a `.h5` file, or `None` where it is refused clearly."""
    try:
        source.save(path)
        return keras.saving.load_model(path)
    except ValueError as error:
        assert ".keras" in str(error)  # noqa: PT017
        return None


@pytest.mark.parametrize("name", [n for n in MODELS if n != "tiny"])
def test_legacy_file(name, tmp_path):
    source = compiled((name, "plain Adam"))
    scramble(source.variables, 1)
    restored = legacy_file(source, tmp_path / "m.h5")
    if restored is not None:
        assert_same(restored.variables, source.variables)


@pytest.mark.parametrize(
    # Keras cannot write its own: two of its variables have one path.
    "name",
    rows(n for n in OPTIMIZERS if "LossScale" not in n and "Keras" not in n),
)
def test_legacy_file_with_optimizer(name, tmp_path):
    # Its state is lost with a warning for Keras's own optimizers too.
    source = compiled(("tiny", name))
    restored = legacy_file(source, tmp_path / "m.h5")
    if restored is not None:
        assert_same(restored.variables, source.variables)
        assert restored.optimizer.get_config() == source.optimizer.get_config()


# ---- Layers and optimizers alone ----


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("how", [pickled, copied])
def test_copied_layer(how, name, tmp_path):
    source = LAYERS[name]()
    source.build((None, *SHAPE))
    scramble(source.variables, 1)
    restored = how(source, None, tmp_path)
    assert_same(restored.variables, source.variables)


@pytest.mark.parametrize("name", rows(OPTIMIZERS))
@pytest.mark.parametrize("how", [pickled, copied])
def test_copied_optimizer_before_it_is_built(how, name, tmp_path):
    # Keras restores no slots here: they are not there before `build`.
    source = make_optimizer(name)
    scramble(source.variables, 1)
    restored = how(source, None, tmp_path)
    assert_same(restored.variables, source.variables)
    assert restored.get_config() == source.get_config()


@pytest.mark.parametrize("name", rows(OPTIMIZERS))
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_copied_optimizer_after_it_is_built(name):
    # As Keras's own, it comes back without slots, and can be built.
    source = compiled(("tiny", name)).optimizer
    restored = copy.deepcopy(source)
    assert restored.get_config() == source.get_config()
    restored.build(tiny().trainable_variables)
    assert len(restored.variables) == len(source.variables)


@pytest.mark.parametrize("name", rows(OPTIMIZERS))
def test_own_variables_of_optimizer(name):
    source, fresh = source_and_fresh(("tiny", name))
    store = {}
    source.optimizer.save_own_variables(store)
    fresh.optimizer.load_own_variables(store)
    assert_same(fresh.optimizer.variables, source.optimizer.variables)


# ---- Models for inference ----


def inference_pair(name):
    """A model with values of its own, and its outputs for some inputs."""
    model = compiled((name, "plain SGD"))
    scramble(model.variables, 1)
    x, _ = x_and_y()
    return model, x, keras.ops.convert_to_numpy(model(x, training=False))


@TENSORFLOW
@pytest.mark.parametrize(
    "name", quick_models(WHOLE, "DReg split", "DReg in a nested model")
)
@pytest.mark.parametrize("how", ["export", "saved_model"])
def test_saved_model_predicts_the_same(how, name, tmp_path):
    import tensorflow as tf

    model, x, expected = inference_pair(name)
    if how == "export":
        model.export(tmp_path / "m", verbose=False)
    else:
        tf.saved_model.save(model, tmp_path / "m")
    serve = tf.saved_model.load(tmp_path / "m").signatures["serving_default"]
    outputs = serve(tf.constant(x))["output_0"]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


@TENSORFLOW
@pytest.mark.parametrize("name", rows(OPTIMIZERS))
def test_export_with_optimizer(name, tmp_path):
    import tensorflow as tf

    model = compiled(("tiny", name))
    scramble(variables(model), 1)
    x, _ = x_and_y()
    expected = model(x, training=False)
    model.export(tmp_path / "e", verbose=False)
    tf.saved_model.save(model, tmp_path / "s")
    for path in (tmp_path / "e", tmp_path / "s"):
        outputs = tf.saved_model.load(path).signatures["serving_default"](
            tf.constant(x)
        )
        np.testing.assert_allclose(
            outputs["output_0"], expected, rtol=1e-5, atol=1e-6
        )


@TENSORFLOW
@pytest.mark.filterwarnings("ignore")  # TensorFlow Lite is leaving TensorFlow.
@pytest.mark.parametrize("name", quick_models(WHOLE, "DReg split"))
def test_tflite_predicts_the_same(name, tmp_path):
    import tensorflow as tf

    if not hasattr(tf, "lite"):
        pytest.skip("this TensorFlow is without `tf.lite`")
    model, x, expected = inference_pair(name)
    path = str(tmp_path / "m.tflite")
    model.export(path, format="litert", verbose=False)
    interpreter = tf.lite.Interpreter(path)
    signature = interpreter.get_signature_runner()
    (argument,) = signature.get_input_details()
    (outputs,) = signature(**{argument: x}).values()
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


# ---- Resumed training ----


class Stop(keras.callbacks.Callback):
    """Interrupts training, as `kill` does, after some batches."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_train_batch_end(self, batch, logs=None):
        self.batches -= 1

    def on_epoch_end(self, epoch, logs=None):
        if self.batches <= 0:
            raise KeyboardInterrupt


def fit(model, callbacks=()):
    x, y = x_and_y()
    model.fit(
        x,
        y,
        batch_size=4,
        epochs=3,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )


BACKUPS = {
    "BackupAndRestore": lambda path: keras.callbacks.BackupAndRestore(
        str(path / "backup")
    ),
    "MultiWorkerBackup": lambda path: lbreg.MultiWorkerBackup(
        path / "backup.npz"
    ),
}


@pytest.mark.parametrize("case", rows(BOTH, QUICK[1:]))
@pytest.mark.parametrize(
    "backup",
    ["MultiWorkerBackup", pytest.param("BackupAndRestore", marks=SLOW)],
)
def test_resumed_training(backup, case, tmp_path):
    keras.utils.set_random_seed(1)
    straight = compiled(case)
    fit(straight)

    keras.utils.set_random_seed(1)
    interrupted = compiled(case)
    with pytest.raises(KeyboardInterrupt):
        fit(interrupted, [BACKUPS[backup](tmp_path), Stop(4)])

    keras.utils.set_random_seed(2)
    resumed = compiled(case)
    scramble(variables(resumed), 2)
    fit(resumed, [BACKUPS[backup](tmp_path)])
    assert_same(variables(resumed), variables(straight))
