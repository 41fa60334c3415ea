"""Twenty updates with real data, on one device or under a strategy."""

import contextlib

import keras
import numpy as np

import keras_lbreg as lbreg
from keras_lbreg.optimizers import ReducedGradient

STEPS = 20
SEED, CONCENTRATION = 3, 0.5


def batches_of(dataset, batch_size):
    """Standardized vectors and labels in 20 batches."""
    samples = np.arange(STEPS * batch_size) % len(dataset.x_train)
    x = dataset.x_train[samples].astype("float32")
    x = (x - x.mean()) / x.std()
    y = dataset.y_train[samples]
    return x.reshape(STEPS, batch_size, -1), y.reshape(STEPS, batch_size)


def sgd(**kwargs):
    return keras.optimizers.SGD(0.1, momentum=0.9, **kwargs)


def clip():
    return ReducedGradient(sgd(global_clipnorm=0.5))


def lars(**kwargs):
    return lbreg.LARS(1.0, trust_coefficient=0.02, weight_decay=1e-3, **kwargs)


def noise(inner=None):
    return lbreg.GradientNoise(inner or sgd(), alpha=1e-3, seed=4)


def mix(inner=None):
    return lbreg.GradientMix(
        inner or sgd(), concentration=CONCENTRATION, seed=SEED
    )


def accumulation():
    return ReducedGradient(sgd(gradient_accumulation_steps=2, clipnorm=0.2))


def everything(mix=lambda inner: inner):
    return lbreg.LossScaleOptimizer(
        noise(mix(lars(global_clipnorm=0.5))),
        initial_scale=2.0**10,
        dynamic_growth_steps=7,
    )


def perceptron(features, normalize=False):
    inputs = keras.Input((features,))
    x = keras.layers.Dense(12, name="hidden")(inputs)
    if normalize:
        x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("tanh")(x)
    outputs = keras.layers.Dense(10, activation="softmax")(x)
    return keras.Model(inputs, outputs)


def with_norm(features):
    return perceptron(features, normalize=True)


def with_ghosts(features, size=4):
    return lbreg.apply_ghost_batch_norm(with_norm(features), size)


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


def both_paths(features):
    return with_dreg(perceptron(features))


def split_paths(features):
    return with_dreg(perceptron(features), "split")


def all_techniques(features):
    return with_dreg(with_ghosts(features))


class Points(keras.callbacks.Callback):
    """All parameters after every update."""

    def __init__(self):
        super().__init__()
        self.points = []

    def on_train_batch_end(self, batch, logs=None):
        self.points.append(
            np.concatenate(
                [np.ravel(v.numpy()) for v in self.model.trainable_variables]
            )
        )


def trajectory(
    batches, make_optimizer=sgd, make_model=perceptron, strategy=None, groups=1
):
    """Trains with 20 batches.

    Args:
        batches: What `batches_of` returns.
        make_optimizer: Function that makes the optimizer.
        make_model: Function of the number of features.
        strategy: A `tf.distribute.Strategy`, or None.
        groups: Number of groups that `mix_sample_weights` makes of a batch.

    Returns:
        The parameters after each update, in rows.
    """
    x, y = batches
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = make_model(x.shape[-1])
        model.compile(
            make_optimizer(),
            "sparse_categorical_crossentropy",
            jit_compile=False,
        )
    seen = Points()
    kwargs = {"shuffle": False, "verbose": 0, "callbacks": [seen]}
    if groups > 1:
        weighted = lbreg.mix_sample_weights(
            zip(x, y, strict=True), groups, CONCENTRATION, SEED
        )
        model.fit(weighted, steps_per_epoch=STEPS, **kwargs)
    else:
        model.fit(
            np.concatenate(x),
            np.concatenate(y),
            batch_size=x.shape[1],
            **kwargs,
        )
    return np.stack(seen.points)


def halves_of_replicas_first(batches, replicas):
    """Orders batches so that their halves hold the halves of each replica."""
    x, y = batches
    order = np.arange(x.shape[1]).reshape(replicas, 2, -1)
    order = np.ravel(order.transpose(1, 0, 2))
    return x[:, order], y[:, order]
