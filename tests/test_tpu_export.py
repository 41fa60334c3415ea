"""The training step of every technique, lowered for a TPU by JAX.

`jax.export` lowers for platforms that are not there, and refuses what it cannot
promise to be there: host callbacks, and calls of what only one platform has.
With `pip install libtpu` the TPU's own compiler goes on from there, for cores
that are described, not present.
"""

import re

import keras
import pytest

from keras_lbreg.random.mixing_weights import mixing_weights
from tests.checks import hlo, train_steps
from tests.checks.data_parallel import scope

pytestmark = [
    pytest.mark.skipif(
        keras.backend.backend() != "jax", reason="needs the JAX backend"
    ),
    pytest.mark.filterwarnings("ignore:`GradientMix` has no effect on one"),
]

CORES = 4
LAWS = [{"concentration": 0.3}, {"concentration": 2.0}, {"law": "gaussian"}]


def lowered_for_tpu(function, *args):
    import jax

    return jax.export.export(jax.jit(function), platforms=["tpu"])(*args)


def unknown_sizes(exported):
    return re.findall(r"tensor<[\dx]*\?[^>]*>", exported.mlir_module())


@pytest.mark.parametrize("name", train_steps.STEPS)
def test_the_step_is_lowered_with_static_shapes(name):
    model = train_steps.compiled_model(name)
    exported = lowered_for_tpu(
        model.train_step, train_steps.jax_state(model), train_steps.batch()
    )
    text = exported.mlir_module()
    assert "stablehlo.convolution" in text
    assert "custom_call" not in text
    assert unknown_sizes(exported) == []


@pytest.mark.parametrize("law", LAWS)
def test_the_weights_of_gradient_mix_are_drawn_without_a_loop(law):
    exported = lowered_for_tpu(
        lambda seed, step: mixing_weights(seed, step, 8, **law), 1, 2
    )
    assert "while" not in exported.mlir_module()
    assert unknown_sizes(exported) == []


def test_a_call_of_the_host_is_refused():
    import jax

    def step(x):
        return jax.pure_callback(lambda x: x, x, x)

    with pytest.raises(ValueError, match="platform"):
        lowered_for_tpu(step, jax.numpy.ones(3))


def test_unknown_sizes_are_seen():
    import jax

    [size] = jax.export.symbolic_shape("b")
    exported = lowered_for_tpu(
        lambda x: 2 * x, jax.ShapeDtypeStruct((size,), "float32")
    )
    assert unknown_sizes(exported)


@pytest.fixture
def cores(monkeypatch):
    """Shardings over cores of a TPU: on every core alike, and by the batch."""
    libtpu = pytest.importorskip("libtpu", reason="needs the TPU's compiler")
    import jax
    import numpy as np
    from jax.experimental import topologies

    monkeypatch.setenv("TPU_LIBRARY_PATH", libtpu.get_library_path())
    # There is no machine in a cloud to be asked what it is.
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    topology = topologies.get_topology_desc("v5e:2x2", platform="tpu")
    mesh = jax.sharding.Mesh(np.array(topology.devices), ("batch",))
    return [
        jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
        for axes in ((), ("batch",))
    ]


def compiled_for(cores, name):
    """The step that `DataParallel` would run on these cores, as HLO."""
    import jax

    def describe(values, sharding):
        return jax.tree.map(
            lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=sharding),
            values,
        )

    alike, by_batch = cores
    model = train_steps.compiled_model(name)
    state = describe(train_steps.jax_state(model), alike)
    data = describe(train_steps.batch(), by_batch)
    with scope(CORES):
        step = jax.jit(model.train_step).lower(state, data)
    return step.compile().as_text()


@pytest.mark.parametrize("name", ["ghosts", "all_both", "all_split"])
def test_the_compiler_of_the_tpu_takes_the_step(cores, name):
    assert hlo.unfit_for_tpu(compiled_for(cores, name)) == []


@pytest.mark.parametrize("name", ["ghosts", "all_both"])
def test_cores_tell_each_other_the_sum_of_gradients_alone(cores, name):
    [(operation, _)] = hlo.collectives(compiled_for(cores, name))
    assert operation == "all-reduce"
