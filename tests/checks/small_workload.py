"""A workload that trains in milliseconds."""

import keras
import numpy as np

import keras_lbreg as lbreg


def blobs(samples, seed=0):
    """Three overlapping classes in four dimensions."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, samples).astype("int32")
    centers = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], "float32")
    x = centers[y] + rng.normal(0, 0.5, (samples, 4)).astype("float32")
    return x, y


def build_model(optimizer=None, norm=True):
    layers = [keras.Input((4,)), keras.layers.Dense(8, use_bias=False)]
    if norm:
        layers.append(keras.layers.BatchNormalization(momentum=0.9))
    layers += [keras.layers.ReLU(), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    model.compile(
        optimizer or keras.optimizers.SGD(momentum=0.9, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def small_workload(**changes):
    """48 samples in batches of 8, or 24, for four epochs."""
    arguments = {
        "build_model": build_model,
        "train_data": blobs(48),
        "validation_data": blobs(40, seed=1),
        "regime": lbreg.Regime(8, 0.02, epochs=4, milestones={2: 0.002}),
        "name": "blobs",
        "batch_size": 24,
        "techniques": {
            "ghost_batch_norm": {"ghost_batch_size": 12},
            "gradient_mix": {"groups": 4},
            "group_noise": {"groups": 4},
        },
    }
    return lbreg.Workload(**{**arguments, **changes})


def numbers(records):
    """What two equal runs have in common: all but the times."""
    return [
        (r.epoch, r.updates, r.samples, r.learning_rate, r.objective, r.logs)
        for r in records
    ]
