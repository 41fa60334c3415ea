"""Try a technique's settings before hours of training depend on them."""

import dataclasses

import keras
import numpy as np


def try_out(technique, settings, context):
    """Call a technique's hooks on a tiny model, optimizer and batch.

    They raise the errors of the classes they make.

    Args:
        technique: The `Technique`.
        settings: All its hyperparameters, a dictionary.
        context: The `Context` of a run.

    Raises:
        ValueError: A hyperparameter is out of its range.

    Example:

    >>> try_out(get("gradient_noise"), {"alpha": -1, "gamma": 0.55}, context)
    ValueError: Invalid value for argument `alpha`. ...

    Reference: `Technique` describes the hooks.
    """
    if technique.model:
        model = keras.Sequential(
            [
                keras.Input((2,), name="inputs"),
                keras.layers.Dense(2, name="dense"),
                keras.layers.BatchNormalization(name="norm"),
                keras.layers.Dense(2, name="logits"),
            ],
            name="tiny",
        )
        tiny = dataclasses.replace(context, dreg_layer="dense")
        technique.model(model, settings, tiny)
    if technique.optimizer:
        technique.optimizer(keras.optimizers.SGD(), settings, context)
    if technique.data:
        batch = np.zeros((8, 2), "float32"), np.zeros(8, "int32")
        next(iter(technique.data([batch], settings, context)))
