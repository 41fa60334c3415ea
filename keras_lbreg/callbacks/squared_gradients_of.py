"""Finding the optimizer wrapper that measures the replicas."""

import keras

from keras_lbreg.optimizers.gradient_mix import GradientMix
from keras_lbreg.optimizers.reduced_gradient import chain_of
from keras_lbreg.optimizers.squared_gradients import SquaredGradients


def squared_gradients_of(model):
    """The `SquaredGradients` around the model's optimizer.

    Args:
        model: A compiled `keras.Model` under a strategy of several replicas.

    Returns:
        The `keras_lbreg.SquaredGradients`.

    Raises:
        ValueError: There is none, or it cannot measure what is asked for.

    Example:

    >>> small, big = squared_gradients_of(model).take_squares()

    Reference: none.
    """
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is None or strategy.num_replicas_in_sync == 1:
        raise ValueError(
            "Invalid value for argument `data`. Expected a pair `(x, y)` of "
            "arrays: there is one replica, whose gradient cannot be compared "
            "with that of others. Received: data=None"
        )
    optimizer = model.optimizer
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    chain = chain_of(optimizer)
    if any(isinstance(member, GradientMix) for member in chain):
        raise ValueError(
            "The gradients of `GradientMix` are no means of their samples'. "
            "Expected an optimizer without it, or `data` for "
            "`GradientNoiseScale`. Received: data=None"
        )
    for member in chain:
        if isinstance(member, SquaredGradients):
            return member
    raise ValueError(
        "`GradientNoiseScale` without `data` needs the optimizer's help. "
        "Expected `model.compile(keras_lbreg.SquaredGradients(optimizer), "
        f"...)`, or `data`. Received: optimizer={model.optimizer!r}, data=None"
    )
