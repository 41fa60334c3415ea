"""Compiled models whose training step holds one technique, or all of them."""

import keras
import numpy as np

import keras_lbreg

BATCH = 32


def make_model(layer="conv", paths=None, ghosts=None, statistics="sequential"):
    """A small image classifier with every layer that DReg can take over.

    It is smooth: rounding that carries one value over a kink of ReLU would
    tear trajectories apart that are compared.

    Args:
        layer: Name of the DReg layer: `"conv"`, `"depthwise"` or `"hidden"`,
            a dense one.
        paths: `"both"`, `"split"`, or None for no DReg.
        ghosts: Ghost batch size, or None for Keras's batch normalization.
        statistics: How ghost batches update moving statistics.
    """
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(
        8, 3, strides=2, padding="same", use_bias=False, name="conv"
    )(inputs)
    x = keras.layers.BatchNormalization(name="norm_1")(x)
    x = keras.layers.Activation("tanh")(x)
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = keras.layers.BatchNormalization(name="norm_2")(x)
    x = keras.layers.Activation("tanh")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(16, name="hidden")(x)
    x = keras.layers.BatchNormalization(name="norm_3")(x)
    x = keras.layers.Activation("tanh")(x)
    outputs = keras.layers.Dense(10, dtype="float32", name="logits")(x)
    model = keras.Model(inputs, outputs)
    if ghosts:
        model = keras_lbreg.apply_ghost_batch_norm(model, ghosts, statistics)
    if paths:
        model = keras_lbreg.apply_dreg(model, layer, paths=paths, seed=1)
    return model


def sgd(learning_rate=0.05, **kwargs):
    return keras.optimizers.SGD(learning_rate, momentum=0.9, **kwargs)


def scheduled_lars(**kwargs):
    """LARS with what is usually around it: a regime, warm-up and decay."""
    regime = keras_lbreg.Regime(
        64, 1.0, epochs=4, milestones={2: 0.1}, warmup_epochs=1
    )
    return keras_lbreg.LARS(
        keras_lbreg.WarmUp(regime.to_schedule(steps_per_epoch=8), steps=4),
        weight_decay=1e-4,
        trust_coefficient=0.01,
        **kwargs,
    )


def all_together():
    return keras_lbreg.GradientNoise(
        keras_lbreg.GradientMix(scheduled_lars(global_clipnorm=1.0), seed=2),
        alpha=1e-3,
        seed=1,
    )


# The arguments of `make_model`, and the optimizer.
STEPS = {
    "plain": ({}, sgd),
    "ghosts": ({"ghosts": 8}, sgd),
    "ghosts_mean": ({"ghosts": 8, "statistics": "mean"}, sgd),
    "ghosts_of_unequal_size": ({"ghosts": 9}, sgd),
    **{
        f"dreg_{layer}_{paths}": ({"layer": layer, "paths": paths}, sgd)
        for layer in ("conv", "depthwise", "hidden")
        for paths in ("both", "split")
    },
    "noise": ({}, lambda: keras_lbreg.GradientNoise(sgd(), seed=1)),
    "clip": (
        {},
        lambda: keras_lbreg.GradientNoise(sgd(clipnorm=0.1), alpha=0.0),
    ),
    "lars": ({}, scheduled_lars),
    "accumulation": (
        {},
        lambda: keras_lbreg.GradientNoise(
            sgd(gradient_accumulation_steps=2), seed=1
        ),
    ),
    "all_split": ({"ghosts": 9, "paths": "split"}, all_together),
    "all_both": ({"ghosts": 8, "paths": "both"}, all_together),
}


def compiled_model(name, optimizer=None, **compile_kwargs):
    """A model of `STEPS`, compiled, with all the variables it will have."""
    keras.utils.set_random_seed(0)
    model_kwargs, make_optimizer = STEPS[name]
    if optimizer is not None:
        make_optimizer = optimizer
    model = make_model(**model_kwargs)
    model.compile(
        make_optimizer(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        **compile_kwargs,
    )
    # What `fit` does with the first batch: metrics and optimizer are built.
    model._symbolic_build(data_batch=batch())
    return model


def batch(size=BATCH):
    """Images, labels, and the weights that `mix_sample_weights` gives them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(size, 8, 8, 1)).astype("float32")
    y = rng.integers(10, size=size).astype("int32")
    [(x, y, weights)] = keras_lbreg.mix_sample_weights(
        iter([(x, y)]), groups=8, seed=3
    )
    return x, y, weights.astype("float32")


def jax_state(model):
    """What `model.train_step` takes, and gives back, under JAX."""
    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    return tuple([v.value for v in group] for group in variables)
