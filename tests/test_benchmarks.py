"""Every case can be made, and the page's tables are those of the results.

What is measured depends on the machine; `.ci/run` runs all groups.
"""

import importlib
import json
import math
import re

import keras
import pytest

from benchmarks import harness, report, startup, training
from benchmarks.growth import NORMAL, added, mixing
from benchmarks.harness import GROUPS, find, measure
from keras_lbreg.random.counter_based import normal
from keras_lbreg.random.mixing_weights import mixing_weights
from keras_lbreg.workloads import networks
from tests.checks import hlo

tensorflow = pytest.mark.tensorflow
BACKEND = keras.backend.backend()
TECHNIQUES = {
    "plain": {},
    "gradient_noise": {"gradient_noise": {}},
    "gradient_mix": {"gradient_mix": {}},
    "ghost_batch_norm": {"ghost_batch_norm": {"ghost_batch_size": 4}},
    "dreg": {"dreg": {"layer": "dense_2"}},
}


@pytest.fixture
def small_network(monkeypatch):
    settings = {"widths": (8, 4)}
    small = (networks.__name__, "fully_connected", settings, (4, 4, 1))
    monkeypatch.setitem(training.NETWORKS, "small", small)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("group", GROUPS)
def test_cases_have_names_and_settings_for_json(group, backend):
    cases = importlib.import_module(f"benchmarks.{group}").cases
    for quick in (True, False):
        described = cases(backend, quick)
        assert len({case.name for case in described}) == len(described)
        for case in described:
            assert find(group, case.name, backend, quick).name == case.name
            assert json.loads(json.dumps(case.settings)).keys() == (
                case.settings.keys()
            )
            assert all(map(callable, case.variants.values()))
    assert len(cases(backend, True)) <= len(cases(backend, False))


@pytest.fixture(scope="module")
def records():
    """The records of the quickest cases."""
    from benchmarks import ghost_batch_norm, optimizers

    chosen = [
        ("ghost_batch_norm", case)
        for case in ghost_batch_norm.cases(BACKEND, True)
    ] + [
        ("optimizers", case)
        for case in optimizers.cases(BACKEND, True)
        if case.devices == 1
    ]
    return [
        measure(group, case.name, BACKEND, True, seconds=0)
        for group, case in chosen
    ]


# `.ci/run` measures the same, by `python -m benchmarks run --quick`.
@pytest.mark.slow
def test_records_compare_all_variants_with_the_first(records):
    for record in records:
        assert record["failed"] == {}
        first, *others = record["variants"].values()
        assert others
        assert first["ratio_quartiles"] == [1, 1]
        for found in others:
            low, high = found["ratio_quartiles"]
            assert 0 < low <= found["ratio"] <= high
    assert record["environment"]["versions"]["keras"] == keras.__version__


def test_turns_alternate_and_slow_variants_have_fewer():
    order = []

    def step(name):
        return harness.Step(lambda: order.append(name))

    steps = {name: step(name) for name in "ab"}
    times = harness.take_turns(steps, 0, 2, 9, is_warm=False)
    assert order == ["a", "b", "b", "a"]
    assert [len(values) for values in times.values()] == [2, 2]
    found = harness.summary([2.0, 4.0, 9.0], [1.0, 1.0, 3.0])
    assert (found["ms"], found["ratio"]) == (4000.0, 3.0)
    assert found["ratio_quartiles"] == [2.5, 3.5]


def test_nothing_is_compared_with_a_reference_that_fails(monkeypatch):
    def fail():
        raise ValueError("no such kernel")

    variants = {"keras": fail, "ghost": lambda: harness.Step(lambda: None)}
    case = harness.Case("a cell", variants, {})
    monkeypatch.setattr(harness, "find", lambda *_: case)
    record = measure("ghost_batch_norm", case.name, BACKEND, True, seconds=0)
    assert record["failed"] == {"keras": "no such kernel"}
    assert record["variants"] == {}


def test_phases_are_functions_of_the_commands():
    places = list(startup.places())
    assert {phase for phase, *_ in places} > {"build", "trace", "train"}
    assert all(callable(getattr(owner, name)) for _, owner, name in places)


def test_time_in_a_phase_is_not_that_of_the_outer_one(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(startup.time, "monotonic", lambda: next(now))
    clock = startup.Clock("import")
    with clock.phase("other"), clock.phase("train"):
        clock.wrap("write", lambda: None)()
    assert clock.seconds == {"import": 1, "other": 2, "train": 2, "write": 1}


def test_page_is_made_of_the_results():
    found = report.read()
    text = report.PAGE.read_text("utf-8")
    assert report.render_page(found) == text, (
        "run `python -m benchmarks report`"
    )
    assert (report.PLOT.name in text) == report.PLOT.is_file()


@pytest.mark.slow
def test_quick_results_are_no_results(records, tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert report.read(tmp_path) == []
    path.write_text(path.read_text().replace('"quick": true', '"quick": false'))
    found = report.read(tmp_path)
    assert len(found) == len(records)
    assert "64x4x4x8 / 16" in report.TABLES["ghost_cells"](found)
    assert "GradientNoise" in report.TABLES["updates"](found)
    assert "ghosts, every cell" in report.TABLES["targets"](found)
    assert len(report.panels(found)) == 1


@tensorflow
@pytest.mark.parametrize(
    ("name", "replicas"),
    [
        ("plain", 2),
        ("gradient_mix", 4),
        ("dreg", 2),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("ghost_batch_norm", 2),
                ("gradient_noise", 2),
                ("gradient_mix", 8),
            ]
        ),
    ],
)
def test_replicas_reduce_what_is_on_paper(name, replicas, small_network):
    techniques = dict(TECHNIQUES[name])
    if "gradient_mix" in techniques:
        techniques["gradient_mix"] = {"groups": replicas}
    counted = training.training_step(
        "small", 8 * replicas, techniques, replicas
    ).counted
    paper = added("small", replicas, 8, 4, "dense_2")
    sent = paper["plain step"][0]
    if "dreg" in techniques:
        sent += paper["DReg"][0]
    ring = 2 * (replicas - 1) / replicas * 4
    assert counted["reduced"] * ring == pytest.approx(sent)
    # One a variable: four of each hidden layer, two of the last one.
    assert counted["reductions"] == 10 + ("dreg" in techniques)


@tensorflow
@pytest.mark.parametrize("dreg", [{}, {"layer": "conv_2"}])
def test_products_are_those_of_the_graph(dreg):
    import tensorflow as tf

    import keras_lbreg as lbreg

    model = training.make_network("C1")
    if dreg:
        model = lbreg.apply_dreg(model, **dreg)
    weights, others = (
        [keras.ops.convert_to_tensor(v) for v in group]
        for group in (model.trainable_variables, model.non_trainable_variables)
    )

    def gradients(x, weights, others):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            y, _ = model.stateless_call(weights, others, x, training=True)
            loss = tf.reduce_sum(y)
        return [tf.identity(g) for g in tape.gradient(loss, weights)]

    x = tf.zeros((8, 32, 32, 3))
    traced = tf.function(gradients).get_concrete_function(x, weights, others)
    graph = traced.graph
    # Without what the gradient is not made of, which does not run.
    needed = tf.compat.v1.graph_util.extract_sub_graph(
        graph.as_graph_def(), [y.op.name for y in graph.outputs]
    )
    with tf.Graph().as_default() as pruned:
        tf.import_graph_def(needed, name="")
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    found = tf.compat.v1.profiler.profile(pruned, options=options)
    # Normalization, pooling and sums are in it, too.
    assert training.products(model, 8) == pytest.approx(
        found.total_float_ops, rel=0.02
    )


# Operations of a program that compute nothing.
MOVES = (
    "bitcast broadcast concatenate constant copy get-tuple-element iota "
    "parameter reshape slice transpose tuple"
)


def elements(function, *arguments):
    """Elements that the operations of a function's program compute."""
    import tensorflow as tf

    compiled = tf.function(function, jit_compile=True)
    text = compiled.experimental_get_compiler_ir(*arguments)(stage="hlo")
    sizes = [
        re.fullmatch(r"\w+\[([\d,]*)\](?:\{.*\})?", shape)
        for name, shape in hlo.instructions(text)
        if name not in MOVES.split()
    ]
    return sum(
        math.prod(int(size) for size in match[1].split(",") if size)
        for match in sizes
        if match
    )


@tensorflow
@pytest.mark.parametrize("groups", [2, 4, 8, 1024])
def test_mixing_costs_what_is_on_paper(groups):
    import tensorflow as tf

    found = elements(
        lambda step: mixing_weights(1, step, groups), tf.constant(3)
    )
    assert mixing(groups) == pytest.approx(found, rel=0.1)


@tensorflow
def test_noise_costs_what_is_on_paper():
    import tensorflow as tf

    found = elements(
        lambda g, key: g + 0.1 * normal((10_000,), key),
        tf.zeros(10_000),
        tf.constant([1, 2], "uint32"),
    )
    # The generator is one operation here.
    assert found / 10_000 == pytest.approx(NORMAL, abs=1.5)
