"""The training step of every technique, traced under a `TPUStrategy`.

There is no TPU here. The strategy is TensorFlow's own, told that there are
cores: it makes its variables and traces `strategy.run` as it does on a TPU, up
to the graph that it would hand over for compilation. Running it needs cores.
"""

import collections
import functools
import types

import numpy as np
import pytest

import keras_lbreg
from tests.checks import train_steps

pytestmark = pytest.mark.tensorflow

CORES = 4
COLLECTIVES = {"AllToAll", "CollectivePermute", "CrossReplicaSum"}
OF_THE_HOST = (
    "Collective",  # Those of cross-device operations, not the TPU's.
    "EagerPyFunc",
    "Host",
    "Nccl",
    "OutfeedEnqueue",
    "Print",
    "PyFunc",
    "RandomGamma",
)


@pytest.fixture(scope="module")
def strategy():
    import tensorflow as tf

    class DescribedTPU(tf.distribute.cluster_resolver.TPUClusterResolver):
        """Cores that exist by their names alone."""

        def __init__(self):
            pass

        def get_tpu_system_metadata(self):
            prefix = "/job:localhost/replica:0/task:0/device:TPU:"
            return types.SimpleNamespace(
                num_cores=CORES,
                num_hosts=1,
                num_of_cores_per_host=CORES,
                topology=None,
                devices=[
                    types.SimpleNamespace(name=f"{prefix}{i}")
                    for i in range(CORES)
                ],
            )

        @property
        def tpu_hardware_feature(self):
            return None

    return tf.distribute.TPUStrategy(DescribedTPU())


def operations(strategy, function, *args):
    """Counts the operations of `strategy.run(function, args)` by type."""
    import tensorflow as tf

    def on_a_core(*args):
        return function(*args)

    @tf.function
    def run(*args):
        return strategy.run(on_a_core, args=args)

    graph = run.get_concrete_function(
        *[tf.TensorSpec(arg.shape, arg.dtype) for arg in args]
    ).graph
    definition = graph.as_graph_def()
    nodes = [*definition.node]
    for function in definition.library.function:
        nodes += function.node_def
    return collections.Counter(node.op for node in nodes)


def step_operations(strategy, name, optimizer=None):
    with strategy.scope():
        model = train_steps.compiled_model(name, optimizer, jit_compile=False)
    found = operations(
        strategy, lambda *batch: model.train_step(batch), *train_steps.batch()
    )
    assert found["TPUReplicateMetadata"] == 1
    return found


def among_cores(found):
    return {name: found[name] for name in COLLECTIVES if found[name]}


@pytest.fixture(scope="module")
def plain(strategy):
    return step_operations(strategy, "plain")


def test_cores_sum_gradients_and_nothing_asks_for_cross_device_ops(plain):
    assert plain["CrossReplicaSum"] > 0
    assert not [name for name in plain if name.startswith(OF_THE_HOST)]


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        ("ghosts", 0),
        # Its second kernel has a gradient, too.
        ("dreg_conv_split", 1),
        ("all_both", 1),
        ("noise", 0),
        ("clip", 0),
        ("lars", 0),
        ("accumulation", 0),
    ],
)
def test_a_technique_adds_no_communication(strategy, plain, name, kernels):
    found = step_operations(strategy, name)
    assert not [name for name in found if name.startswith(OF_THE_HOST)]
    assert among_cores(found) == {
        **among_cores(plain),
        "CrossReplicaSum": plain["CrossReplicaSum"] + kernels,
    }


def test_gradient_mix_draws_its_weights_on_the_cores(strategy, plain):
    mixed = step_operations(
        strategy,
        "plain",
        lambda: keras_lbreg.GradientMix(train_steps.sgd(), seed=1),
    )
    assert mixed["BitwiseXor"] > plain["BitwiseXor"]
    assert among_cores(mixed) == among_cores(plain)


def test_ghosts_are_not_a_loop_over_a_kernel(strategy):
    import tensorflow as tf

    x = np.zeros((256, 16, 16, 4), "float32")
    kernels = []
    # On a CPU these ghosts are worth the loop.
    for each in (strategy, tf.distribute.OneDeviceStrategy("CPU:0")):
        with each.scope():
            layer = keras_lbreg.GhostBatchNormalization(ghost_batch_size=128)
            layer.build(x.shape)
        found = operations(each, functools.partial(layer, training=True), x)
        kernels.append([n for n in found if "FusedBatchNorm" in n])
        loops = [n for n in found if "While" in n]
        assert bool(loops) == bool(kernels[-1])
    assert kernels[0] == []
    assert kernels[1]
