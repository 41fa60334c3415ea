"""Real data, 20 updates: K replicas move step by step as one device does.

On one device, `mix_sample_weights` stands for `GradientMix`, and ghost batches
for the batches of replicas.
"""

import functools
import os
import pathlib

import keras
import numpy as np
import pytest

import keras_lbreg as lbreg
from keras_lbreg.data.prepared import find_prepared
from keras_lbreg.optimizers import ReducedGradient
from tests.checks import trajectories as t
from tests.checks.replicas import mirrored_strategy

pytestmark = pytest.mark.tensorflow

MNIST = pathlib.Path(
    os.environ.get("LBREG_DATA_DIR")
    or pathlib.Path(__file__).parents[3] / "shared" / "tfds"
)
BATCH = 64
SLOW = pytest.mark.slow
# All techniques together, and each by itself.
REPLICAS = [pytest.param(1, marks=SLOW), 2, 4, pytest.param(8, marks=SLOW)]
FEWER = [2, *(pytest.param(count, marks=SLOW) for count in (1, 4, 8))]


@functools.cache
def digits():
    return t.batches_of(lbreg.data.load_dataset("digits"), BATCH)


@functools.cache
def mnist():
    return t.batches_of(lbreg.data.load_dataset("mnist", MNIST), BATCH)


def parameters(model):
    return np.concatenate(
        [np.ravel(v.numpy()) for v in model.trainable_variables]
    )


def weighted(data, groups):
    """The batches, with the sample weights that mix them in groups."""
    batches = zip(*data, strict=True)
    if groups == 1:
        return batches
    return lbreg.mix_sample_weights(batches, groups, t.CONCENTRATION, t.SEED)


def compiled(make_optimizer, make_model, features):
    keras.utils.set_random_seed(0)
    model = make_model(features)
    model.compile(
        make_optimizer(), "sparse_categorical_crossentropy", jit_compile=False
    )
    model.optimizer.build(model.trainable_variables)
    return model


def trajectory(
    make_optimizer, make_model=t.perceptron, replicas=0, groups=1, data=None
):
    """Parameters after each step, in one row; no strategy for 0 replicas.

    `fit` would take three times as long, and much of it for 8 iterators.
    """
    import tensorflow as tf

    data = data or digits()
    strategy = tf.distribute.get_strategy()
    if replicas:
        strategy = mirrored_strategy(replicas)
    with strategy.scope():
        model = compiled(make_optimizer, make_model, data[0].shape[-1])

    @functools.partial(tf.function, autograph=False)
    def step(batch):
        strategy.run(model.train_step, args=(batch,))

    def distributed(part):
        shares = np.split(part, max(replicas, 1))
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(
                shares[context.replica_id_in_sync_group]
            )
        )

    points = []
    for batch in weighted(data, groups):
        step(tuple(distributed(part) for part in batch))
        points.append(parameters(model))
    assert len(points) == t.STEPS
    assert np.abs(points[-1] - points[0]).max() > 0.1
    return np.stack(points)


def same(ours, theirs):
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


OPTIMIZERS = {
    "momentum": t.sgd,
    "clip": t.clip,
    "noise": t.noise,
    "lars": t.lars,
    "loss-scaling": lambda: lbreg.LossScaleOptimizer(
        ReducedGradient(t.sgd()), initial_scale=2.0**10, dynamic_growth_steps=7
    ),
    "accumulation": t.accumulation,
}


@functools.cache
def on_one_device(make_optimizer, make_model=t.perceptron):
    return trajectory(make_optimizer, make_model)


@pytest.mark.parametrize("replicas", FEWER)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name, replicas):
    same(
        trajectory(OPTIMIZERS[name], replicas=replicas),
        on_one_device(OPTIMIZERS[name]),
    )


@pytest.mark.parametrize("replicas", REPLICAS[1:])
def test_mixed_replicas_are_mixed_groups(replicas):
    same(
        trajectory(t.mix, replicas=replicas), trajectory(t.sgd, groups=replicas)
    )


@pytest.mark.parametrize("replicas", FEWER)
@pytest.mark.parametrize(
    "make_model", [t.with_ghosts, t.both_paths], ids=["ghosts", "both-paths"]
)
def test_models(make_model, replicas):
    same(
        trajectory(t.sgd, make_model, replicas),
        on_one_device(t.sgd, make_model),
    )


@pytest.mark.parametrize("replicas", FEWER)
def test_split_paths(replicas):
    same(
        trajectory(t.sgd, t.split_paths, replicas),
        trajectory(
            t.sgd,
            t.split_paths,
            data=t.halves_of_replicas_first(digits(), replicas),
        ),
    )


def test_batch_normalization_differs_and_ghosts_of_replicas_do_not():
    four = trajectory(t.sgd, t.with_norm, replicas=4)
    assert np.abs(four - trajectory(t.sgd, t.with_norm)).max() > 1e-2
    ghosts = functools.partial(t.with_ghosts, size=BATCH // 4)
    same(four, trajectory(t.sgd, ghosts))


def mixed_everything():
    return t.everything(t.mix)


def everything_on_groups(groups):
    return trajectory(t.everything, t.all_techniques, groups=groups)


@pytest.mark.parametrize("replicas", REPLICAS)
def test_all_techniques_together(replicas):
    make_optimizer = mixed_everything if replicas > 1 else t.everything
    same(
        trajectory(make_optimizer, t.all_techniques, replicas),
        everything_on_groups(replicas),
    )


def test_all_techniques_together_in_fit():
    """`fit` distributes the batches, in a step of its own."""
    same(
        t.trajectory(
            digits(), mixed_everything, t.all_techniques, mirrored_strategy(2)
        ),
        everything_on_groups(2),
    )


@SLOW
@pytest.mark.data
@pytest.mark.skipif(
    find_prepared("mnist", MNIST) is None, reason="mnist is not prepared"
)
@pytest.mark.parametrize("replicas", [2, 4, 8])
def test_mixed_ghosts_on_mnist(replicas):
    def clipped_mix():
        return t.mix(t.clip())

    def clipped():
        return t.sgd(global_clipnorm=0.5)

    same(
        trajectory(clipped_mix, t.with_ghosts, replicas, data=mnist()),
        trajectory(clipped, t.with_ghosts, groups=replicas, data=mnist()),
    )
