"""Try a technique's settings before hours of training depend on them."""

import keras
import numpy as np

from keras_lbreg.schedules import Regime


def try_out(technique, settings, context, model):
    """Call a technique's hooks on a regime, a model, an optimizer and a batch.

    They raise the errors of the classes they make.

    Args:
        technique: The `Technique`.
        settings: All its hyperparameters, a dictionary.
        context: The `Context` of a run.
        model: The plain model that will be trained. It is left as it is.

    Raises:
        ValueError: A hyperparameter is out of its range.

    Example:

    >>> try_out(get("gradient_noise"), {"alpha": -1, "gamma": 1}, ctx, model)
    ValueError: Invalid value for argument `alpha`. ...

    Reference: `Technique` describes the hooks.
    """
    if technique.regime:
        Regime(context.base_batch_size, 1.0, 1).scaled(
            context.batch_size,
            verbose=False,
            **{"rule": None, **technique.regime(settings, context)},
        )
    if technique.model:
        technique.model(model, settings, context)
    if technique.optimizer:
        technique.optimizer(keras.optimizers.SGD(), settings, context)
    if technique.data:
        batch = np.zeros((8, 2), "float32"), np.zeros(8, "int32")
        next(iter(technique.data([batch], settings, context)))
