import warnings

import keras
import numpy as np
import pytest

import keras_lbreg
from keras_lbreg.layers.path_normalization import PathNormalization
from keras_lbreg.layers.paths import PathFork
from tests.checks.layer import save_and_load

to_numpy = keras.ops.convert_to_numpy
L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 8, 8, 3)).astype("float32")
LABELS = np.arange(6) % 4


def residual():
    """A small ResNet: the second convolution is inside a residual block."""
    inputs = keras.Input((8, 8, 3))
    h = L.Conv2D(4, 3, padding="same", name="stem")(inputs)
    h = L.BatchNormalization(momentum=0.5, name="stem_bn")(h)
    shortcut = h
    h = L.Conv2D(4, 3, padding="same", name="conv")(h)
    h = L.BatchNormalization(momentum=0.5, name="bn")(h)
    h = L.ReLU(name="relu")(h)
    h = L.Conv2D(4, 1, name="project")(h)
    h = L.BatchNormalization(momentum=0.5, name="project_bn")(h)
    h = L.Add(name="add")([shortcut, h])
    h = L.GlobalAveragePooling2D(name="pool")(h)
    return keras.Model(inputs, L.Dense(4, activation="softmax", name="top")(h))


def inverted_residual():
    """A MobileNetV2 block."""
    inputs = keras.Input((8, 8, 3))
    h = L.Conv2D(6, 1, name="expand")(inputs)
    h = L.DepthwiseConv2D(3, padding="same", name="depthwise")(h)
    h = L.BatchNormalization(name="bn")(h)
    h = L.Conv2D(3, 1, name="project")(h)
    h = L.Concatenate(name="merge")([h, inputs])
    h = L.Flatten(name="flat")(h)
    return keras.Model(inputs, L.Dense(4, activation="softmax", name="top")(h))


def sequential():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            L.Conv2D(4, 3, activation="relu", name="first"),
            L.Conv2D(4, 3, name="last"),
            L.Flatten(name="flat"),
            L.Dense(4, activation="softmax", name="top"),
        ],
        name="plain",
    )


def nested():
    backbone = residual()
    backbone = keras.Model(
        backbone.input, backbone.get_layer("add").output, name="backbone"
    )
    inputs = keras.Input((8, 8, 3))
    h = L.GlobalAveragePooling2D(name="pool")(backbone(inputs))
    return keras.Model(inputs, L.Dense(4, activation="softmax", name="top")(h))


MODELS = {
    f.__name__: f for f in (residual, inverted_residual, sequential, nested)
}


def ours(model):
    """Names of the layers by kind."""
    kinds = {"twin": [], "normalization": [], "fork": 0}
    for path, layer in walk(model):
        if hasattr(layer, "kernel_left"):
            kinds["twin"].append((path, layer.paths))
        elif isinstance(layer, PathNormalization):
            kinds["normalization"].append(path)
        elif isinstance(layer, PathFork):
            kinds["fork"] += 1
    return kinds


def walk(model, prefix=""):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from walk(layer, f"{prefix}{layer.name}/")
        else:
            yield prefix + layer.name, layer


def randomize_statistics(model):
    for variable in model.non_trainable_variables:
        if variable.dtype == "float32":
            variable.assign(RNG.uniform(0.5, 1.5, size=variable.shape))


@pytest.mark.parametrize("name", list(MODELS))
def test_predictions_are_kept_and_the_model_is_untouched(name):
    model = MODELS[name]()
    randomize_statistics(model)
    before = [w.copy() for w in model.get_weights()]
    new = keras_lbreg.apply_dreg(model, seed=1)
    assert type(new) is keras_lbreg.DRegModel
    assert new.name == model.name
    assert not new.compiled
    np.testing.assert_allclose(new(X), model(X), atol=1e-6)
    outputs = to_numpy(new(X, training=True))
    assert outputs.shape == (12, 4)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert ours(model)["twin"] == []


@pytest.mark.parametrize(
    ("name", "twin", "normalizations", "forks"),
    [
        ("residual", "conv", ["bn", "project_bn"], 1),
        ("inverted_residual", "depthwise", ["bn"], 1),
        ("sequential", "last", [], 0),
        ("nested", "backbone/conv", ["backbone/bn", "backbone/project_bn"], 1),
    ],
)
def test_what_is_replaced(name, twin, normalizations, forks):
    found = ours(keras_lbreg.apply_dreg(MODELS[name]()))
    assert found == {
        "twin": [(twin, "both")],
        "normalization": normalizations,
        "fork": forks,
    }


def network_of_path(model, path):
    """The same training step in a network that has this path alone."""
    plain = keras_lbreg.strip_dreg(model, path)
    outputs = to_numpy(plain(X, training=True))
    return plain, outputs


@pytest.mark.parametrize("name", ["residual", "inverted_residual", "nested"])
@pytest.mark.parametrize("ghost", [False, True])
def test_each_path_trains_like_a_network_of_its_own(name, ghost):
    model = keras_lbreg.apply_dreg(MODELS[name](), init_distance=1.0, seed=1)
    if ghost:
        model = keras_lbreg.apply_ghost_batch_norm(model, ghost_batch_size=3)
        assert type(model) is keras_lbreg.DRegModel
    right, right_outputs = network_of_path(model, "right")
    left, left_outputs = network_of_path(model, "left")
    outputs = to_numpy(model(X, training=True))
    assert np.abs(right_outputs - left_outputs).max() > 1e-3
    np.testing.assert_allclose(outputs[:6], right_outputs, atol=1e-5)
    np.testing.assert_allclose(outputs[6:], left_outputs, atol=1e-5)
    # The moving statistics that this step left behind.
    for path, alone in (("right", right), ("left", left)):
        model.active_path = path
        np.testing.assert_allclose(model(X), alone(X), atol=1e-5)


def test_fit_evaluate_save(tmp_path):
    model = keras_lbreg.apply_dreg(residual())
    model.compile(
        "sgd", "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    # The last batch has two samples.
    logs = model.fit(
        X, LABELS, batch_size=4, verbose=0, validation_data=(X, LABELS)
    ).history
    assert np.isfinite(logs["loss"][0])
    assert {"accuracy", "dreg_distance/conv", "val_accuracy"} <= set(logs)
    _, accuracy = model.evaluate(X, LABELS, verbose=0)
    assert accuracy == pytest.approx(logs["val_accuracy"][0])
    again = save_and_load(model, tmp_path)
    np.testing.assert_array_equal(again(X), model(X))
    assert ours(again) == ours(model)


def test_layers_in_series_fork_once():
    model = keras_lbreg.apply_dreg(
        residual(), layer=["conv", "top", "project"], init_distance=1.0
    )
    assert ours(model)["twin"] == [
        ("conv", "both"),
        ("project", "split"),
        ("top", "split"),
    ]
    outputs = to_numpy(model(X, training=True))
    for path, part in (("right", outputs[:6]), ("left", outputs[6:])):
        _, expected = network_of_path(model, path)
        np.testing.assert_allclose(part, expected, atol=1e-5)


def test_split_paths_keep_the_class_and_the_batch():
    for make in (residual, sequential):
        source = make()
        model = keras_lbreg.apply_dreg(source, paths="split", seed=1)
        assert type(model) is type(source)
        assert ours(model)["fork"] == 0
        np.testing.assert_allclose(model(X), source(X), atol=1e-6)
        assert model(X, training=True).shape == (6, 4)
    # Of a batch of one, the one path's statistics are the whole batch's.
    model = keras_lbreg.apply_dreg(residual(), paths="split")
    assert np.isfinite(to_numpy(model(X[:1], training=True))).all()
    assert np.isfinite(to_numpy(model(X[:5], training=True))).all()


def test_applying_twice_changes_nothing():
    model = keras_lbreg.apply_dreg(nested(), seed=1)
    model.active_path = "left"
    again = keras_lbreg.apply_dreg(model, seed=1)
    assert ours(again) == ours(model)
    assert again.active_path == "left"
    # Automatic names of forks count on: compare what is not a name.
    assert [type(x) for _, x in walk(again)] == [
        type(x) for _, x in walk(model)
    ]
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(
        again(X, training=True), model(X, training=True), atol=1e-6
    )


def test_applying_again_changes_the_settings_and_adds_layers():
    model = keras_lbreg.apply_dreg(residual(), weight=0.1, seed=1)
    kernels = [to_numpy(model.get_layer("conv").kernel_left)]
    again = keras_lbreg.apply_dreg(
        model, layer=["stem", "conv"], weight=0.7, path_reduction="mean"
    )
    assert ours(again) == {
        "twin": [("stem", "both"), ("conv", "split")],
        "normalization": ["stem_bn", "bn", "project_bn"],
        "fork": 0,
    }
    assert again.path_reduction == "mean"
    assert again.get_layer("conv").weight == 0.7
    np.testing.assert_array_equal(
        again.get_layer("conv").kernel_left, kernels[0]
    )
    np.testing.assert_allclose(again(X), model(X), atol=1e-6)
    split = keras_lbreg.apply_dreg(again, layer="conv", paths="split")
    assert type(split) is not keras_lbreg.DRegModel
    assert split(X, training=True).shape == (6, 4)


def test_ghost_batch_norm_before_and_after_is_the_same():
    before = keras_lbreg.apply_dreg(
        keras_lbreg.apply_ghost_batch_norm(residual(), 2), seed=1
    )
    after = keras_lbreg.apply_ghost_batch_norm(
        keras_lbreg.apply_dreg(residual(), seed=1), 2
    )
    assert ours(before) == ours(after)
    for model in (before, after):
        inner = model.get_layer("bn").layer
        assert type(inner) is keras_lbreg.GhostBatchNormalization
        assert inner.ghost_batch_size == 2
    after.set_weights(before.get_weights())
    np.testing.assert_allclose(
        before(X, training=True), after(X, training=True), atol=1e-5
    )


def test_a_shared_layer_reached_from_both_sides_of_the_fork():
    inputs = keras.Input((8, 8, 3))
    conv = L.Conv2D(3, 3, padding="same", name="conv")
    bn = L.BatchNormalization(name="bn")
    relu = L.ReLU(name="relu")
    h = relu(bn(conv(inputs)))
    h = relu(bn(conv(h)))
    model = keras.Model(inputs, L.GlobalAveragePooling2D(name="pool")(h))
    new = keras_lbreg.apply_dreg(model)
    assert ours(new)["twin"] == [("conv", "split")]
    assert ours(new)["fork"] == 1
    np.testing.assert_allclose(new(X), model(X), atol=1e-6)
    outputs = to_numpy(new(X, training=True))
    assert outputs.shape == (12, 3)
    assert len(new.losses) == 1


def test_multiple_inputs_of_several_dtypes():
    image = keras.Input((8, 8, 3), name="image")
    token = keras.Input((1,), dtype="int32", name="token")
    h = L.Conv2D(2, 3, name="conv")(image)
    h = L.Flatten(name="flat")(h)
    e = L.Flatten(name="flat_e")(L.Embedding(5, 4, name="embedding")(token))
    h = L.Concatenate(name="merge")([e, h])
    model = keras.Model(
        {"image": image, "token": token},
        {"a": L.Dense(2, name="a")(h), "b": L.Dense(1, name="b")(e)},
    )
    new = keras_lbreg.apply_dreg(model)
    data = {"image": X, "token": np.arange(6)[:, None] % 5}
    for name, value in model(data).items():
        np.testing.assert_allclose(new(data)[name], value, atol=1e-5)
    new.compile("sgd", "mse")
    logs = new.fit(
        data, {"a": np.ones((6, 2)), "b": np.ones((6, 1))}, verbose=0
    ).history
    assert np.isfinite(logs["loss"][0])


def test_operations_and_fixed_batch_sizes():
    inputs = keras.Input(batch_shape=(6, 8, 8, 3))
    h = L.Conv2D(3, 3, padding="same", name="conv")(inputs)
    h = h * inputs + keras.ops.relu(inputs)
    h = L.Reshape((-1,), name="reshape")(h)
    model = keras.Model(inputs, L.Dense(2, name="top")(h))
    new = keras_lbreg.apply_dreg(model)
    assert ours(new)["fork"] == 2
    assert new(X, training=True).shape == (12, 2)
    np.testing.assert_allclose(new(X), model(X), atol=1e-5)


def test_settings_reach_the_layer():
    model = keras_lbreg.apply_dreg(
        residual(),
        layer="top",
        weight=0.2,
        distance="frobenius",
        max_distance=2.0,
        init_distance=0.5,
        seed=3,
    )
    layer = model.get_layer("top")
    assert type(layer) is keras_lbreg.DRegDense
    assert (layer.weight, layer.distance, layer.max_distance) == (
        0.2,
        "frobenius",
        2.0,
    )
    right, left = to_numpy(layer.kernel), to_numpy(layer.kernel_left)
    relative = np.linalg.norm(right - left) / np.linalg.norm(right)
    assert relative == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize(
    ("layer", "name"),
    [(-1, "top"), (0, "stem"), ("last_conv", "conv"), (["stem"], "stem")],
)
def test_choosing_the_layer(layer, name):
    model = keras_lbreg.apply_dreg(residual(), layer)
    assert [path for path, _ in ours(model)["twin"]] == [name]


def test_the_layer_itself_and_nested_paths():
    model = nested()
    conv = model.get_layer("backbone").get_layer("stem")
    for layer in (conv, "backbone/stem", "stem"):
        new = keras_lbreg.apply_dreg(model, layer)
        assert ours(new)["twin"] == [("backbone/stem", "both")]


@pytest.mark.parametrize("layer", ["conf", "relu", 99, "backbone/conv", []])
def test_a_wrong_name_lists_the_candidates(layer):
    with pytest.raises(ValueError, match="argument `layer`") as error:
        keras_lbreg.apply_dreg(residual(), layer)
    assert "['stem', 'conv', 'project', 'top']" in str(error.value)


def test_no_convolution():
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, name="top")])
    with pytest.raises(ValueError, match="no two-dimensional convolution"):
        keras_lbreg.apply_dreg(model)


def test_one_by_one_convolutions_are_the_last_resort():
    model = keras.Sequential(
        [keras.Input((2, 2, 3)), L.Conv2D(2, 1, name="a"), L.Flatten()]
    )
    assert ours(keras_lbreg.apply_dreg(model))["twin"] == [("a", "both")]


def test_subclassed_models_are_refused():
    class Custom(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="Expected a Functional or Sequential"):
        keras_lbreg.apply_dreg(Custom())


@pytest.mark.parametrize(
    "settings",
    [
        {"weight": -1.0},
        {"distance": "cosine"},
        {"init_distance": 0.0},
        {"paths": "all"},
        {"max_distance": -1.0},
        {"path_reduction": "max"},
    ],
)
def test_a_bad_argument_is_named(settings):
    ((name, value),) = settings.items()
    for model in (sequential(), keras_lbreg.apply_dreg(sequential())):
        with pytest.raises(ValueError, match=f"argument `{name}`") as error:
            keras_lbreg.apply_dreg(model, **settings)
        assert f"Received: {name}={value!r}" in str(error.value)


def test_a_layer_with_low_rank_adapters_is_refused():
    model = sequential()
    model.get_layer("top").enable_lora(2)
    with pytest.raises(ValueError, match="argument `lora_rank`"):
        keras_lbreg.apply_dreg(model, "top")


@pytest.mark.parametrize("paths", ["both", "split"])
def test_a_model_without_shapes_is_refused_until_it_is_called(paths):
    model = keras.Sequential(
        [L.Conv2D(2, 3, name="conv"), L.GlobalAveragePooling2D(name="pool")]
    )
    with pytest.raises(ValueError, match=r"Add `keras.Input` .* or call it"):
        keras_lbreg.apply_dreg(model, paths=paths)
    expected = to_numpy(model(X))
    new = keras_lbreg.apply_dreg(model, paths=paths)
    np.testing.assert_allclose(new(X), expected, atol=1e-6)


class OwnStep(keras.Sequential):
    def train_step(self, *args, **kwargs):
        return super().train_step(*args, **kwargs)


def test_methods_of_a_class_are_kept_or_refused():
    model = OwnStep(sequential().layers)
    model.build((None, 8, 8, 3))
    with pytest.raises(ValueError, match=r"'train_step'.*`paths=\"split\"`"):
        keras_lbreg.apply_dreg(model)
    new = keras_lbreg.apply_dreg(model, paths="split")
    assert type(new) is OwnStep
    assert type(keras_lbreg.strip_dreg(new)) is OwnStep


class Block(L.Layer):
    """A composite layer, whose inside surgery does not reach."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner_bn = L.BatchNormalization(name="inner_bn")

    def build(self, input_shape):
        self.inner_bn.build(input_shape)

    def call(self, x, training=None):
        return self.inner_bn(x, training=training)


class OwnNormalization(L.Layer):
    """Batch statistics of somebody else's."""

    def build(self, input_shape):
        self.running = self.add_weight(
            shape=(input_shape[-1],), trainable=False, name="running"
        )

    def call(self, x, training=None):
        if training:
            self.running.assign(keras.ops.mean(x, axis=(0, 1, 2)))
        return x - self.running


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (Block, "inner_bn/moving_mean"),
        (OwnNormalization, "running"),
        (
            lambda **kw: L.SpectralNormalization(L.Conv2D(2, 1), **kw),
            "vector_u",
        ),
    ],
)
@pytest.mark.parametrize("paths", ["both", "split"])
@pytest.mark.parametrize("trainable", [True, False])
def test_other_state_behind_the_fork_warns(make, named, paths, trainable):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            make(name="before"),
            L.Conv2D(2, 3, name="conv"),
            make(name="behind", trainable=trainable),
        ]
    )
    with pytest.warns(UserWarning, match=f"'behind'.*{named}") as record:
        keras_lbreg.apply_dreg(model, "conv", paths=paths)
    assert not any("'before'" in str(w.message) for w in record)


def test_layers_without_batch_statistics_do_not_warn():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            L.Conv2D(2, 3, name="conv"),
            L.Normalization(mean=0.0, variance=1.0),
            L.Dropout(0.5),
            L.LayerNormalization(trainable=False),
            L.RandomFlip(),
            L.Flatten(),
            L.Dense(2, trainable=False),
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        keras_lbreg.apply_dreg(model, "conv")


@pytest.mark.parametrize(
    "recurrent",
    [
        lambda: L.LSTM(2, stateful=True, name="rnn"),
        lambda: L.Bidirectional(L.GRU(2, stateful=True), name="rnn"),
    ],
)
def test_stateful_recurrent_layers_are_refused(recurrent):
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(4, 5, 3)),
            L.Dense(3, name="in"),
            recurrent(),
            L.Dense(2, name="out"),
        ]
    )
    with pytest.raises(ValueError, match=r"'rnn'.* is stateful.*\"split\""):
        keras_lbreg.apply_dreg(model, "in")
    for new in (
        keras_lbreg.apply_dreg(model, "out"),
        keras_lbreg.apply_dreg(model, "in", paths="split"),
    ):
        new.compile("sgd", "mse")
        new.fit(np.ones((4, 5, 3)), np.ones((4, 2)), batch_size=4, verbose=0)


@pytest.mark.parametrize(
    ("last", "taken"),
    [
        (lambda: L.SeparableConv2D(4, 3, name="last"), "small"),
        (lambda: L.Conv2DTranspose(4, 3, name="last"), "small"),
        (lambda: L.TimeDistributed(L.Conv1D(4, 3), name="last"), "small"),
        (lambda: L.SeparableConv2D(4, 1, name="last"), "conv"),
    ],
)
def test_last_conv_that_cannot_be_doubled(last, taken):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            L.Conv2D(3, 3, name="conv"),
            L.Conv2D(3, 1, name="small"),
            last(),
        ]
    )
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        new = keras_lbreg.apply_dreg(model)
    assert [path for path, _ in ours(new)["twin"]] == [taken]
    messages = [str(w.message) for w in record if "last_conv" in str(w.message)]
    assert len(messages) == (taken == "small")
    if messages:
        assert "'last' is a" in messages[0]
        assert "takes 'small', layer 2 of 3" in messages[0]


def test_a_kernel_of_zeros_is_refused():
    model = keras.Sequential(
        [keras.Input((3,)), L.Dense(2, kernel_initializer="zeros", name="top")]
    )
    with pytest.raises(ValueError, match="kernel of layer 'top' is zero"):
        keras_lbreg.apply_dreg(model, "top")


def test_n0_is_that_of_the_weights_carried_over():
    model = residual()
    kernel = 7.0 * to_numpy(model.get_layer("conv").kernel)
    model.get_layer("conv").kernel.assign(kernel)
    new = keras_lbreg.apply_dreg(model, seed=1)

    def n0(model):
        return float(model.get_layer("conv").initial_size.value)

    assert n0(new) == pytest.approx(2 * np.sum(kernel**2), rel=1e-2)
    # Of the start, also where the layer changes its settings later.
    new.get_layer("conv").kernel.assign(3 * kernel)
    again = keras_lbreg.apply_dreg(new, "conv", weight=0.5)
    assert n0(again) == n0(new)


def test_trainable_flags_and_pretrained_frozen_layers():
    model = residual()
    for name in ("stem", "bn", "conv"):
        model.get_layer(name).trainable = False
    new = keras_lbreg.apply_dreg(model)
    flags = {path: layer.trainable for path, layer in walk(new)}
    frozen = [name for name, trainable in flags.items() if not trainable]
    assert frozen == ["stem", "conv", "bn"]
    # A frozen normalization has statistics of its own all the same.
    assert len(new.get_layer("bn").left_statistics) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("ResNet50", "conv5_block3_2_conv"),
        ("MobileNetV2", "block_16_depthwise"),
    ],
)
def test_applications(name, layer):
    source = getattr(keras.applications, name)(
        weights=None, input_shape=(32, 32, 3), classes=4
    )
    model = keras_lbreg.apply_dreg(source)
    assert [path for path, _ in ours(model)["twin"]] == [layer]
    x = RNG.normal(size=(4, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(
        model.predict(x, verbose=0), source.predict(x, verbose=0), atol=1e-6
    )
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=True)
    logs = model.fit(x, np.arange(4), verbose=0).history
    assert np.isfinite(logs["loss"][0])
