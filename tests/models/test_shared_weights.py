"""Weights that several layers share keep being shared after surgery."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as to_numpy

import keras_lbreg
from keras_lbreg.models.layer_search import find_layers
from keras_lbreg.models.surgery import rebuild

L = keras.layers


class Borrower(L.Layer):
    """Multiplies by the transposed kernel of another layer."""

    def __init__(self, source, **kwargs):
        super().__init__(**kwargs)
        self.source = source

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.source.kernel))

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        source = keras.saving.serialize_keras_object(self.source)
        return {**super().get_config(), "source": source}

    @classmethod
    def from_config(cls, config):
        source = keras.saving.deserialize_keras_object(
            config.pop("source"),
            custom_objects={"SquareKernel": SquareKernel},
        )
        return cls(source, **config)


class TakesVariable(Borrower):
    """Has the variable itself, from `build` on."""

    def build(self, shape):
        self.matrix = self.source.kernel

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.matrix))


class PassesLayer(Borrower):
    """Has the layer itself in its config."""

    def get_config(self):
        return {**super().get_config(), "source": self.source}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class PassesVariable(L.Layer):
    def __init__(self, matrix, **kwargs):
        super().__init__(**kwargs)
        self.matrix = matrix

    def call(self, x):
        return ops.matmul(x, self.matrix)

    def get_config(self):
        return {**super().get_config(), "matrix": self.matrix}


class SquareKernel(L.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1],) * 2, name="kernel")

    def call(self, x):
        return ops.matmul(x, self.kernel)


class MakesItsOwn(Borrower):
    """Loses what is shared."""

    @classmethod
    def from_config(cls, config):
        inner = config.pop("source")["config"]
        return cls(L.Dense.from_config(inner), **config)

    def build(self, shape):
        if not self.source.built:
            self.source.build(shape)


class KeepsTheSame(Borrower):
    """Shares it with the model that is copied."""

    kept = None

    @classmethod
    def from_config(cls, config):
        config.pop("source")
        return cls(cls.kept, **config)


def graph(behind, rank=1):
    """A model of a layer "d", batch normalization, and what `behind` adds."""
    shape = (4,) if rank == 1 else (5, 4)
    inputs = keras.Input(shape)
    dense = L.Dense(4, name="d")
    h = L.BatchNormalization(name="bn")(dense(inputs))
    return keras.Model(inputs, behind(dense, h))


def borrowed(cls):
    return lambda: graph(lambda d, h: L.Dense(2)(cls(d, name="user")(h)))


def borrowed_before_it_is_called():
    inputs = keras.Input((4,))
    dense = L.Dense(4, name="d")
    dense.build((None, 4))
    h = Borrower(dense, name="user")(inputs)
    return keras.Model(inputs, dense(L.BatchNormalization(name="bn")(h)))


def variable_in_config():
    return graph(lambda d, h: PassesVariable(d.kernel, name="user")(h))


def variable_in_an_operation():
    return graph(lambda d, h: ops.matmul(h, d.kernel))


def variable_in_an_earlier_operation():
    dense = L.Dense(4, name="d")
    dense.build((None, 4))
    inputs = keras.Input((4,))
    h = L.BatchNormalization(name="bn")(ops.matmul(inputs, dense.kernel))
    return keras.Model(inputs, dense(h))


def wrapper_of_a_layer_in_the_graph():
    return graph(lambda d, h: L.TimeDistributed(d, name="user")(h), rank=2)


def two_wrappers_of_one_layer():
    def behind(_, h):
        inner = L.Dense(4, name="inner")
        h = L.TimeDistributed(inner, name="first")(h)
        return L.TimeDistributed(inner, name="second")(h)

    return graph(behind, rank=2)


def two_networks_with_one_cell():
    def behind(_, h):
        cell = L.GRUCell(4)
        h = L.RNN(cell, return_sequences=True, name="first")(h)
        return L.RNN(L.StackedRNNCells([cell, L.GRUCell(2)]), name="second")(h)

    return graph(behind, rank=2)


def bidirectional_beside_its_own():
    def behind(_, h):
        both = L.Bidirectional(L.GRU(2, return_sequences=True), name="both")
        return both(L.TimeDistributed(L.Dense(4))(both(h)))

    return graph(behind, rank=2)


def nested_model_in_a_wrapper():
    def behind(_, h):
        inner = keras.Sequential(
            [keras.Input((4,)), L.Dense(4, name="inside")], name="inner"
        )
        return L.TimeDistributed(inner)(L.Dense(4)(inner(h[:, 0])[:, None] + h))

    return graph(behind, rank=2)


def nested_models_with_one_layer():
    def behind(dense, h):
        for name in ("first", "second"):
            x = keras.Input((4,))
            h = keras.Model(x, L.ReLU()(dense(x)), name=name)(h)
        return Borrower(dense, name="user")(h)

    return graph(behind)


def borrower_in_a_wrapper():
    def behind(dense, h):
        return L.TimeDistributed(Borrower(dense, name="user"))(h)

    return graph(behind, rank=2)


def reversible_embedding():
    ids = keras.Input((5,), dtype="int32")
    table = L.ReversibleEmbedding(20, 6, name="table")
    h = L.BatchNormalization(name="bn")(L.Dense(6, name="d")(table(ids)))
    return keras.Model(ids, table(h, reverse=True))


MODELS = [
    borrowed(Borrower),
    borrowed(TakesVariable),
    borrowed(PassesLayer),
    borrowed_before_it_is_called,
    variable_in_config,
    variable_in_an_operation,
    variable_in_an_earlier_operation,
    wrapper_of_a_layer_in_the_graph,
    two_wrappers_of_one_layer,
    two_networks_with_one_cell,
    bidirectional_beside_its_own,
    nested_model_in_a_wrapper,
    nested_models_with_one_layer,
    borrower_in_a_wrapper,
    reversible_embedding,
]


def sharing(model):
    """Which variable each layer has, as the number of its first appearance."""
    numbers = {}
    return [
        (path, numbers.setdefault(id(variable), len(numbers)))
        for path, layer in find_layers(model).items()
        for variable in layer.variables
    ]


@pytest.fixture(autouse=True)
def custom_objects():
    classes = (Borrower, TakesVariable, PassesLayer, SquareKernel)
    with keras.saving.custom_object_scope({c.__name__: c for c in classes}):
        yield


@pytest.mark.parametrize("make", MODELS)
def test_shared_weights_stay_shared(make):
    model = make()
    new = rebuild(model, lambda layer: None)
    assert sharing(new) == sharing(model)
    assert len(new.weights) == len(model.weights)
    assert not {id(v) for v in new.variables} & {id(v) for v in model.variables}
    shape = (8, *model.input_shape[1:])
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype("float32")
    if model.inputs[0].dtype == "int32":
        x = rng.integers(0, 20, shape)
    expected = to_numpy(model(x))
    np.testing.assert_array_equal(new(x), expected)
    # Training moves both alike: gradients go to the same places.
    for trained in (model, new):
        # One step of tiny models: tracing them would take longer.
        eager = keras.backend.backend() == "tensorflow"
        trained.compile(
            keras.optimizers.SGD(0.1),
            "mse",
            jit_compile=False,
            run_eagerly=eager,
        )
        trained.fit(x, np.zeros_like(expected), verbose=0)
    assert np.abs(to_numpy(model(x)) - expected).max() > 1e-4
    np.testing.assert_allclose(new(x), model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [MODELS[0], reversible_embedding])
def test_techniques_keep_shared_weights(make):
    model = make()
    new = keras_lbreg.strip_ghost_batch_norm(
        keras_lbreg.apply_ghost_batch_norm(model, 4)
    )
    assert sharing(new) == sharing(model)
    if make is reversible_embedding:
        for paths in ("both", "split"):
            forked = keras_lbreg.apply_dreg(model, "d", paths=paths)
            assert sharing(keras_lbreg.strip_dreg(forked)) == sharing(model)


def test_trainable_flags_of_shared_layers():
    model = wrapper_of_a_layer_in_the_graph()
    model.get_layer("d").trainable = False
    new = rebuild(model, lambda layer: None)
    assert not new.get_layer("d").trainable
    assert not new.get_layer("user").layer.trainable
    assert new.get_layer("user").trainable


@pytest.mark.parametrize("make", [MODELS[0], variable_in_an_operation])
def test_what_another_layer_uses_is_not_replaced_by_something_else(make):
    with pytest.raises(
        ValueError, match=r"'d' cannot be replaced.*(user|kernel)"
    ):
        keras_lbreg.apply_dreg(make(), "d", paths="split")


def with_lambda():
    return graph(
        lambda d, h: L.Lambda(
            lambda x: ops.matmul(x, d.kernel), output_shape=(4,), name="user"
        )(h)
    )


def kept():
    def behind(dense, h):
        KeepsTheSame.kept = dense
        return KeepsTheSame(dense, name="user")(h)

    return graph(behind)


def set_later():
    class Later(L.Layer):
        source = None

        def call(self, x):
            return ops.matmul(x, self.source.kernel)

    def behind(dense, h):
        layer = Later(name="user")
        layer.source = dense
        return layer(h)

    return graph(behind)


def beside_the_graph():
    model = graph(lambda d, h: h)
    model.temperature = L.Dense(2)
    model.temperature.build((None, 4))
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (borrowed(MakesItsOwn), "Layers 'd' and 'user' share weights"),
        (kept, "Layers 'd' and 'user' share weights"),
        (set_later, "Layers 'd' and 'user' share weights"),
        (with_lambda, "Lambda layer 'user' uses weights of layer 'd'"),
        (beside_the_graph, "belong to no layer.*dense/kernel"),
    ],
)
def test_what_cannot_be_kept_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        keras_lbreg.apply_ghost_batch_norm(make(), 4)


class WithTemperature(keras.Model):
    """A Functional subclass with a variable of its own."""

    def __init__(self, inputs, outputs, **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        self.temperature = self.add_weight(name="temperature", shape=())

    def call(self, *args, **kwargs):
        return super().call(*args, **kwargs) / self.temperature


def test_variables_of_a_subclass_are_carried_over():
    plain = graph(lambda d, h: h)
    model = WithTemperature(plain.inputs, plain.outputs)
    model.temperature.assign(4.0)
    new = rebuild(model, lambda layer: None)
    assert float(new.temperature) == 4.0
