import keras

import keras_lbreg
from keras_lbreg.layers.paths import PathFork
from keras_lbreg.models.path_graph import PathGraph, forks


def graph_of(model, *sources, uniform=()):
    return PathGraph(
        model,
        is_source=lambda layer: layer.name in sources,
        is_uniform=lambda layer: layer.name in uniform or layer.name in sources,
    )


def names(graph):
    return {x.name for x in graph.forked_layers.values()}


def test_what_is_behind_the_source_is_forked():
    inputs = keras.Input((3,))
    a = keras.layers.Dense(3, name="a")(inputs)
    b = keras.layers.Dense(3, name="b")(a)
    c = keras.layers.Dense(3, name="c")(b)
    graph = graph_of(keras.Model(inputs, [a, b, c]), "b")
    assert names(graph) == {"c"}
    assert graph.forked_outputs == [False, True, True]
    assert all(not ids for ids in graph.to_fork.values())


def test_shortcuts_are_forked_and_tables_are_not():
    class Table(keras.layers.Layer):
        def call(self, x):
            return keras.ops.ones((1, 3))

        def compute_output_shape(self, input_shape):
            return (1, 3)

    inputs = keras.Input((3,))
    table = Table()(inputs)
    h = keras.layers.Dense(3, name="dreg")(inputs)
    total = keras.layers.Add(name="add")([h, inputs, table])
    model = keras.Model(inputs, total)
    graph = graph_of(model, "dreg")
    node = model.get_layer("add")._inbound_nodes[0]
    assert graph.to_fork[id(node)] == {id(inputs)}


def test_layers_that_must_be_uniform_are_forked_at_every_call():
    inputs = keras.Input((3,))
    shared = keras.layers.BatchNormalization(name="shared")
    relu = keras.layers.ReLU(name="relu")
    h = relu(shared(inputs))
    h = keras.layers.Dense(3, name="dreg")(h)
    model = keras.Model(inputs, relu(shared(h)))
    free = graph_of(model, "dreg")
    assert names(free) == {"shared", "relu"}
    assert all(not ids for ids in free.to_fork.values())
    uniform = graph_of(model, "dreg", uniform=["shared"])
    assert names(uniform) == {"shared", "relu", "dreg"}
    first_call = model.get_layer("shared")._inbound_nodes[0]
    assert uniform.to_fork[id(first_call)] == {id(inputs)}


def test_nested_models():
    inner_in = keras.Input((3,))
    hidden = keras.layers.Dense(3, name="dreg")(inner_in)
    inner = keras.Model(
        inner_in, [hidden, keras.layers.Dense(3, name="side")(inner_in)]
    )
    inputs = keras.Input((3,))
    main, side = inner(inputs)
    tail = keras.Sequential([keras.layers.Dense(3, name="tail")])
    total = keras.layers.Add(name="add")([tail(main), side])
    graph = graph_of(keras.Model(inputs, [total, side]), "dreg")
    assert {"tail", "add"} <= names(graph)
    assert "side" not in names(graph)
    assert graph.forked_outputs == [True, False]


def test_forks():
    assert forks(PathFork())
    assert forks(keras_lbreg.DRegDense(1, paths="both"))
    assert not forks(keras_lbreg.DRegDense(1))
    assert not forks(keras.layers.Dense(1))


def test_a_shared_nested_model_is_forked_where_it_is_called_behind():
    inner_in = keras.Input((3,))
    hidden = keras.layers.Dense(3, name="hidden")(inner_in)
    inner = keras.Model(inner_in, hidden, name="inner")
    x = keras.Input((3,))
    before = inner(x)
    behind = inner(keras.layers.Dense(3, name="dreg")(before))
    graph = graph_of(keras.Model(x, [before, behind]), "dreg")
    assert names(graph) == {"inner", "hidden"}
    assert graph.forked_outputs == [False, True]
    graph = graph_of(keras.Model(x, [before, behind]), "dreg", uniform="inner")
    assert graph.forked_outputs == [True, True]
