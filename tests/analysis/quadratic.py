"""Models whose loss is known in closed form."""

import keras
import numpy as np


def linear_model(weights):
    """y = x w: with a squared loss, a quadratic function of w."""
    inputs = keras.Input((len(weights),))
    outputs = keras.layers.Dense(1, use_bias=False)(inputs)
    model = keras.Model(inputs, outputs)
    model.set_weights([np.array(weights, "float32")[:, None]])
    model.compile(loss="mse")
    return model


def regression(samples=200, size=6, noise=0.1, seed=0):
    """Inputs of different scales and targets of a linear law."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, size)) * np.linspace(0.5, 2, size)
    y = x @ rng.normal(size=size) + noise * rng.normal(size=samples)
    return x.astype("float32"), y.astype("float32")[:, None]


def small_network(seed=0):
    """A network of 39 parameters with batch normalization, and its data."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 3)).astype("float32")
    return model, x, rng.integers(0, 3, 50)
