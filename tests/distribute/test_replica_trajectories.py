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
from keras_lbreg.data.sources.tensorflow_datasets import find_prepared
from keras_lbreg.optimizers import ReducedGradient
from tests.checks.replicas import mirrored_strategy

pytestmark = pytest.mark.tensorflow

MNIST = pathlib.Path(
    os.environ.get("LBREG_DATA_DIR")
    or pathlib.Path(__file__).parents[3] / "shared" / "tfds"
)
STEPS = 20
BATCH = 64
REPLICAS = [1, 2, 4, 8]
GHOST = BATCH // max(REPLICAS)
SEED, CONCENTRATION = 3, 0.5


def batches_of(dataset):
    """Standardized vectors and labels in 20 batches of 64."""
    samples = np.arange(STEPS * BATCH) % len(dataset.x_train)
    x = dataset.x_train[samples].astype("float32")
    x = (x - x.mean()) / x.std()
    y = dataset.y_train[samples]
    return x.reshape(STEPS, BATCH, -1), y.reshape(STEPS, BATCH)


@functools.cache
def digits():
    return batches_of(lbreg.data.load_dataset("digits"))


@functools.cache
def mnist():
    return batches_of(lbreg.data.load_dataset("mnist", MNIST))


def sgd(**kwargs):
    return keras.optimizers.SGD(0.1, momentum=0.9, **kwargs)


def lars(**kwargs):
    return lbreg.LARS(1.0, trust_coefficient=0.02, weight_decay=1e-3, **kwargs)


def noise(inner):
    return lbreg.GradientNoise(inner, alpha=1e-3, seed=4)


def mix(inner):
    return lbreg.GradientMix(inner, concentration=CONCENTRATION, seed=SEED)


def loss_scaling(inner):
    return keras.optimizers.LossScaleOptimizer(
        inner, initial_scale=2.0**10, dynamic_growth_steps=7
    )


def everything(mix=lambda inner: inner):
    return loss_scaling(noise(mix(lars(global_clipnorm=0.5))))


def perceptron(features, normalize=False):
    inputs = keras.Input((features,))
    x = keras.layers.Dense(12, use_bias=False, name="hidden")(inputs)
    if normalize:
        x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("tanh")(x)
    outputs = keras.layers.Dense(10, activation="softmax")(x)
    return keras.Model(inputs, outputs)


def with_ghosts(features, size=GHOST):
    model = perceptron(features, normalize=True)
    return lbreg.apply_ghost_batch_norm(model, size)


def with_dreg(model, paths="both"):
    return lbreg.apply_dreg(
        model,
        "hidden",
        weight=0.1,
        distance="frobenius",
        init_distance=0.5,
        paths=paths,
        seed=1,
    )


def parameters(model):
    return np.concatenate(
        [np.ravel(v.numpy()) for v in model.trainable_variables]
    )


def weighted(data, groups):
    """The batches, with the sample weights that mix them in groups."""
    batches = zip(*data, strict=True)
    if groups == 1:
        return batches
    return lbreg.mix_sample_weights(batches, groups, CONCENTRATION, SEED)


def compiled(make_optimizer, make_model, features):
    keras.utils.set_random_seed(0)
    model = make_model(features)
    model.compile(
        make_optimizer(), "sparse_categorical_crossentropy", jit_compile=False
    )
    model.optimizer.build(model.trainable_variables)
    return model


def trajectory(
    make_optimizer, make_model=perceptron, replicas=0, groups=1, data=None
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
    assert len(points) == STEPS
    assert np.abs(points[-1] - points[0]).max() > 0.1
    return np.stack(points)


def same(ours, theirs):
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


OPTIMIZERS = {
    "momentum": sgd,
    "clip": lambda: ReducedGradient(sgd(global_clipnorm=0.5)),
    "noise": lambda: noise(sgd()),
    "lars": lars,
    "loss-scaling": lambda: loss_scaling(ReducedGradient(sgd())),
    "accumulation": lambda: ReducedGradient(
        sgd(gradient_accumulation_steps=2, clipnorm=0.2)
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    one = trajectory(OPTIMIZERS[name])
    for replicas in REPLICAS:
        same(trajectory(OPTIMIZERS[name], replicas=replicas), one)


@pytest.mark.parametrize("replicas", REPLICAS[1:])
def test_mixed_replicas_are_mixed_groups(replicas):
    same(
        trajectory(lambda: mix(sgd()), replicas=replicas),
        trajectory(sgd, groups=replicas),
    )


def test_ghost_batches():
    one = trajectory(sgd, with_ghosts)
    for replicas in REPLICAS:
        same(trajectory(sgd, with_ghosts, replicas), one)


def test_batch_normalization_differs_and_ghosts_of_replicas_do_not():
    plain = functools.partial(perceptron, normalize=True)
    four = trajectory(sgd, plain, replicas=4)
    assert np.abs(four - trajectory(sgd, plain)).max() > 1e-2
    same(
        four,
        trajectory(sgd, functools.partial(with_ghosts, size=BATCH // 4)),
    )


def test_both_paths():
    def model(features):
        return with_dreg(perceptron(features))

    one = trajectory(sgd, model)
    for replicas in REPLICAS:
        same(trajectory(sgd, model, replicas), one)


def halves_of_replicas_first(replicas):
    """Orders a batch so that its halves hold the halves of each replica."""
    x, y = digits()
    order = np.arange(BATCH).reshape(replicas, 2, -1)
    order = np.ravel(order.transpose(1, 0, 2))
    return x[:, order], y[:, order]


def test_split_paths():
    def model(features):
        return with_dreg(perceptron(features), "split")

    for replicas in REPLICAS:
        same(
            trajectory(sgd, model, replicas),
            trajectory(sgd, model, data=halves_of_replicas_first(replicas)),
        )


def all_techniques(features):
    return with_dreg(with_ghosts(features))


def all_on_groups(groups, data=None):
    return trajectory(everything, all_techniques, groups=groups, data=data)


def all_on_replicas(replicas, data=None):
    def make_optimizer():
        return everything(mix) if replicas > 1 else everything()

    return trajectory(make_optimizer, all_techniques, replicas, data=data)


@pytest.mark.parametrize("replicas", REPLICAS)
def test_all_techniques_together(replicas):
    same(all_on_replicas(replicas), all_on_groups(replicas))


def test_all_techniques_together_in_fit():
    """`fit` distributes the batches, in a step of its own."""
    x, y = digits()
    with mirrored_strategy(2).scope():
        model = compiled(lambda: everything(mix), all_techniques, x.shape[-1])
    model.fit(
        np.concatenate(x),
        np.concatenate(y),
        batch_size=BATCH,
        shuffle=False,
        verbose=0,
    )
    same(parameters(model), all_on_groups(2)[-1])


@pytest.mark.data
@pytest.mark.skipif(
    find_prepared("mnist", MNIST) is None, reason="mnist is not prepared"
)
@pytest.mark.parametrize("replicas", REPLICAS[1:])
def test_mixed_ghosts_on_mnist(replicas):
    def clipped():
        return sgd(global_clipnorm=0.5)

    same(
        trajectory(
            lambda: mix(ReducedGradient(clipped())),
            with_ghosts,
            replicas,
            data=mnist(),
        ),
        trajectory(clipped, with_ghosts, groups=replicas, data=mnist()),
    )
