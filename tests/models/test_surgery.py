"""Rebuilding models with layers replaced."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as to_numpy

from keras_lbreg.models import surgery


class Doubled(keras.layers.Dense):
    """A Dense layer with one more variable."""

    def build(self, input_shape):
        super().build(input_shape)
        self.factor = self.add_weight(name="factor", initializer="ones")

    def call(self, inputs, training=None):
        return super().call(inputs, training=training) * self.factor


class KeptClass(keras.Model):
    """A Functional subclass with an argument and an override of its own."""

    def __init__(self, inputs, outputs, shift=0.0, **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        self.shift = shift

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=training, mask=mask) + self.shift

    def get_config(self):
        return {**super().get_config(), "shift": self.shift}


class OwnConstructor(keras.Model):
    """Builds its graph in `__init__`, as many published backbones do."""

    def __init__(self, units, **kwargs):
        inputs = keras.Input((3,))
        outputs = keras.layers.Dense(units, name="inside")(inputs)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.units = units

    def get_config(self):
        return {"units": self.units, "name": self.name}


def copy(model, **kwargs):
    return surgery.rebuild(model, lambda layer: None, **kwargs)


def randomize(model):
    rng = np.random.default_rng(3)
    for variable in model.weights:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))


def assert_same_but_separate(model, new, x):
    assert new.name == model.name
    assert [v.name for v in new.weights] == [v.name for v in model.weights]
    for old_v, new_v in zip(model.variables, new.variables, strict=True):
        assert new_v is not old_v
        assert new_v.dtype == old_v.dtype
        assert new_v.trainable == old_v.trainable
        np.testing.assert_array_equal(new_v, old_v)
    before = [to_numpy(v) for v in model.variables]
    for expected, received in zip(
        keras.tree.flatten(model(x)), keras.tree.flatten(new(x)), strict=True
    ):
        np.testing.assert_array_equal(expected, received)
    for variable in new.weights:
        variable.assign(variable + 1)
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, variable)


def sequential():
    return keras.Sequential(
        [
            keras.Input((3,), name="x"),
            keras.layers.Dense(4, name="a"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(2, name="b"),
        ],
        name="chain",
    )


def lazily_built():
    model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(2)])
    model(np.zeros((1, 3), "float32"))
    return model


def nested_and_shared():
    """A nested model with a branch, called twice, and a shared layer."""
    inputs = keras.Input((3,))
    x = keras.layers.Dense(3, name="a")(inputs)
    x = keras.layers.Add()([x, inputs])
    inner = keras.Model(inputs, keras.ops.relu(x), name="inner")
    outer_inputs = keras.Input((3,), name="outer_in")
    shared = keras.layers.Dense(3, name="shared")
    x = inner(shared(outer_inputs))
    x = shared(inner(x))
    tail = keras.Sequential([keras.layers.Dense(2, name="a")], name="tail")
    return keras.Model(outer_inputs, tail(x[:, :2] * 2.0), name="outer")


def mixed_precision():
    policy = keras.DTypePolicy("mixed_bfloat16")
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, dtype=policy)(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, dtype="float32")(x))


def frozen_in_part():
    model = nested_and_shared()
    model.get_layer("inner").trainable = False
    model.get_layer("tail").get_layer("a").trainable = False
    return model


def with_lambda_and_bidirectional():
    inputs = keras.Input((3,))
    x = keras.layers.Lambda(
        lambda x: x[:, :, None] + 1, output_shape=(3, 1), name="my_lambda"
    )(inputs)
    wrapped = keras.layers.Bidirectional(keras.layers.LSTM(2), name="both")
    outputs = wrapped(x)
    wrapped.backward_layer.trainable = False
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize(
    "make",
    [
        sequential,
        lazily_built,
        nested_and_shared,
        mixed_precision,
        frozen_in_part,
        with_lambda_and_bidirectional,
    ],
)
def test_copy_is_equal_and_separate(make):
    model = make()
    randomize(model)
    new = copy(model)
    assert type(new) is type(model)
    assert new.dtype_policy == model.dtype_policy
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    assert_same_but_separate(model, new, x)


def test_dict_inputs_and_outputs():
    a = keras.Input((3,), name="a")
    b = keras.Input((2,), name="b", dtype="int32")
    ids = keras.layers.Embedding(7, 3, mask_zero=True)(b)
    x = keras.layers.LSTM(3)(ids) + a
    model = keras.Model(
        {"a": a, "b": b},
        {"y": keras.layers.Dense(2, name="y")(x), "z": [x, a]},
    )
    new = copy(model)
    assert new.output_names == model.output_names
    x = {
        "a": np.ones((4, 3), "float32"),
        "b": np.array([[1, 0], [2, 3], [0, 0], [6, 0]], "int32"),
    }
    assert_same_but_separate(model, new, x)


def test_optional_input_stays_optional():
    a = keras.Input((3,), name="a")
    b = keras.Input((3,), name="b", optional=True)

    class AddIfThere(keras.layers.Layer):
        def call(self, x, y=None):
            return x if y is None else x + y

        def compute_output_shape(self, x_shape):
            return x_shape

    model = keras.Model([a, b], AddIfThere()(a, b))
    new = copy(model)
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(new([x, None]), x)
    np.testing.assert_array_equal(new([x, x]), 2 * x)


def test_unbuilt_sequential_stays_unbuilt():
    model = keras.Sequential([keras.layers.Dense(4, name="a")])
    new = copy(model)
    assert not new.built
    assert new(np.zeros((2, 3), "float32")).shape == (2, 4)
    assert not model.built


def test_layers_of_a_sequential_without_graph_keep_their_weights():
    """With two inputs Keras builds the layers, but no graph."""
    model = keras.Sequential([keras.layers.Add(), keras.layers.Dense(2)])
    x = np.ones((2, 3), "float32")
    expected = model([x, x])
    np.testing.assert_array_equal(copy(model)([x, x]), expected)


def test_compile_state_is_not_carried():
    model = sequential()
    model.compile("sgd", "mse")
    new = copy(model)
    assert model.compiled
    assert not new.compiled


def test_caller_model_config_is_unchanged():
    model = nested_and_shared()
    before = model.get_config()
    copy(model)
    assert model.get_config() == before


def test_result_saves_and_loads(tmp_path):
    new = copy(nested_and_shared())
    new.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(new(x), again(x))


def test_dropout_continues_its_random_numbers():
    model = sequential()
    x = np.ones((4, 3), "float32")
    model(x, training=True)
    new = copy(model)
    np.testing.assert_array_equal(
        model(x, training=True), new(x, training=True)
    )


def test_replacement_with_a_further_variable():
    model = nested_and_shared()
    randomize(model)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")

    def replace(layer):
        if layer.name != "shared":
            return None
        return Doubled.from_config(layer.get_config())

    new = surgery.rebuild(model, replace)
    assert isinstance(new.get_layer("shared"), Doubled)
    assert new.count_params() == model.count_params() + 1
    np.testing.assert_array_equal(new(x), model(x))


def test_transfer_decides_how_weights_get_across():
    model = sequential()

    def transfer(old, new):
        new.kernel.assign(2 * old.kernel)

    new = surgery.rebuild(
        model,
        lambda layer: (
            keras.layers.Dense(4, name="a") if layer.name == "a" else None
        ),
        transfer=transfer,
    )
    np.testing.assert_array_equal(
        new.get_layer("a").kernel, 2 * model.get_layer("a").kernel
    )


def test_trainable_flag_of_a_replaced_layer():
    model = sequential()
    model.get_layer("b").trainable = False
    new = surgery.rebuild(
        model,
        lambda layer: (
            keras.layers.Dense(2, name="b") if layer.name == "b" else None
        ),
    )
    assert not new.get_layer("b").trainable
    assert new.get_layer("a").trainable


def test_training_the_new_model_leaves_the_old_one_usable():
    model = sequential()
    x = np.ones((2, 3), "float32")
    expected = to_numpy(model(x))
    new = copy(model)
    new.compile("sgd", "mse")
    new.fit(x, np.zeros_like(expected), verbose=0)
    np.testing.assert_array_equal(model(x), expected)


def test_call_hook_sees_every_call_once():
    calls = []

    def call(node, new, *args, **kwargs):
        calls.append((node.operation.name, new.name))
        return new(*args, **kwargs)

    copy(nested_and_shared(), call=call)
    names = [old for old, _ in calls]
    assert names.count("shared") == 2
    assert names.count("inner") == 2
    assert names.count("tail") == 1
    # The graph of the inner model is replayed once, though called twice.
    assert names.count("a") == 1


def test_call_hook_may_insert_an_operation():
    def call(node, new, *args, **kwargs):
        return 2 * new(*args, **kwargs)

    model = nested_and_shared().get_layer("inner")
    new = copy(model, call=call)
    x = np.ones((1, 3), "float32")
    kernel = to_numpy(model.get_layer("a").kernel)
    expected = 2 * np.maximum(2 * (2 * x @ kernel + x), 0)
    np.testing.assert_allclose(new(x), expected, rtol=1e-5)


@pytest.mark.parametrize("make", [sequential, nested_and_shared])
def test_outer_model_class(make):
    model = make()
    new = copy(model, model_class=KeptClass, model_kwargs={"shift": 1.0})
    x = np.ones((2, 3), "float32")
    assert type(new) is KeptClass
    assert new.name == model.name
    np.testing.assert_allclose(new(x), model(x) + 1.0)


def test_functional_subclass_keeps_class_and_config():
    model = copy(sequential(), model_class=KeptClass)
    model.shift = 3.0
    outer_inputs = keras.Input((3,))
    outer = keras.Model(outer_inputs, model(outer_inputs))
    new = copy(outer).get_layer("chain")
    assert type(new) is KeptClass
    assert new.shift == 3.0


class KeptSequential(keras.Sequential):
    """A Sequential subclass with an argument and an override of its own."""

    def __init__(self, layers=None, shift=0.0, **kwargs):
        super().__init__(layers, **kwargs)
        self.shift = shift

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=training, mask=mask) + self.shift

    def get_config(self):
        return {**super().get_config(), "shift": self.shift}


@pytest.mark.parametrize("is_nested", [False, True])
def test_sequential_subclass_keeps_class_and_config(is_nested):
    model = KeptSequential(sequential().layers, shift=3.0, name="chain")
    x = np.ones((2, 3), "float32")
    expected = model(x)
    if is_nested:
        inputs = keras.Input((3,))
        new = copy(keras.Model(inputs, model(inputs))).get_layer("chain")
    else:
        new = copy(model)
    assert type(new) is KeptSequential
    assert new.shift == 3.0
    np.testing.assert_array_equal(new(x), expected)


def test_a_chain_becomes_sequential():
    source = sequential()
    chain = copy(source, model_class=keras.Model)
    assert not isinstance(chain, keras.Sequential)
    new = copy(chain, model_class=keras.Sequential)
    assert type(new) is keras.Sequential
    assert new.get_config() == source.get_config()
    assert_same_but_separate(source, new, np.ones((2, 3), "float32"))
    # The layers are in one graph only, as those of a model made by hand.
    inner = keras.Model(new.inputs[0], new.get_layer("a").output)
    assert inner(np.ones((2, 3), "float32")).shape == (2, 4)


def test_model_with_its_own_constructor_becomes_plain():
    model = OwnConstructor(4)
    new = copy(model)
    assert type(new) is type(keras.Model(model.input, model.output))
    assert_same_but_separate(model, new, np.ones((2, 3), "float32"))


def test_layer_that_forgets_its_config_is_refused():
    class Forgetful(keras.layers.Layer):
        def __init__(self, units=1, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(self.units,))

        def call(self, x):
            return x

        def get_config(self):
            return super().get_config()

    model = keras.Sequential([keras.Input((3,)), Forgetful(2)])
    with pytest.raises(ValueError, match="Mend its `get_config"):
        copy(model)


@pytest.mark.parametrize(
    "policy",
    ["float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"],
)
@pytest.mark.parametrize("as_floatx", [False, True])
def test_precision_is_kept(policy, as_floatx):
    if as_floatx and policy.startswith("mixed"):
        pytest.skip("no floatx")
    if policy == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has it only where it is switched on")
    keras.config.set_dtype_policy(policy)
    if as_floatx:
        keras.config.set_floatx(policy)
    try:
        model = keras.Sequential(
            [
                keras.Input((3,)),
                keras.layers.Dense(4),
                keras.layers.BatchNormalization(),
                keras.layers.Dense(2, dtype="float32"),
            ]
        )
        # What the process prefers later is of no account.
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
        new = copy(model)
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    assert [t.dtype for t in new.inputs] == [t.dtype for t in model.inputs]
    for old_layer, new_layer in zip(model.layers, new.layers, strict=True):
        assert new_layer.dtype_policy == old_layer.dtype_policy
        for old, fresh in zip(
            old_layer.variables, new_layer.variables, strict=True
        ):
            assert fresh.dtype == old.dtype
            np.testing.assert_array_equal(to_numpy(fresh), to_numpy(old))
    x = np.ones((2, 3), model.inputs[0].dtype)
    np.testing.assert_array_equal(to_numpy(new(x)), to_numpy(model(x)))


@pytest.mark.tensorflow
def test_ragged_and_sparse_inputs():
    import tensorflow as tf

    ids = keras.Input((None,), dtype="int32", ragged=True)
    h = keras.layers.Embedding(5, 4)(ids)
    h = keras.layers.Lambda(
        lambda x: tf.reduce_mean(x, axis=1), output_shape=(4,)
    )(h)
    rows = keras.Input((6,), sparse=True)
    h = h + keras.layers.Dense(4)(rows)
    model = keras.Model([ids, rows], keras.layers.BatchNormalization()(h))
    new = copy(model)
    assert new.inputs[0].ragged
    assert new.inputs[1].sparse
    x = [
        tf.ragged.constant([[1, 2], [3], [4, 0, 1]], dtype="int32"),
        tf.sparse.from_dense(np.eye(3, 6, dtype="float32")),
    ]
    np.testing.assert_array_equal(new(x), model(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50"])
def test_applications(name):
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(32, 32, 3), classes=5
    )
    randomize(model)
    new = copy(model)
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3))
    assert_same_but_separate(model, new, x.astype("float32"))
