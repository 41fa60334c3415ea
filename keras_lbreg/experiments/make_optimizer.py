"""The optimizer that a recipe names."""

import keras

from keras_lbreg.optimizers.coupled_sgd import CoupledSGD
from keras_lbreg.optimizers.lars import LARS


def make_optimizer(recipe, schedule, steps_per_epoch):
    """The optimizer of a recipe, without what techniques put around it.

    Args:
        recipe: The `Recipe`.
        schedule: Its learning rate, a number or a schedule.
        steps_per_epoch: Updates in one epoch, after which the momentum is
            forgotten where the recipe says so.

    Returns:
        A `keras.optimizers.Optimizer`.

    Raises:
        ValueError: The name is unknown, or its optimizer cannot forget.

    Example:

    >>> make_optimizer(recipe_for("digits"), 0.1, steps_per_epoch=64)

    Reference: `OPTIMIZERS`.
    """
    if recipe.optimizer not in OPTIMIZERS:
        raise ValueError(
            "Invalid value for argument `optimizer`. Expected one of "
            f"{sorted(OPTIMIZERS)}. Received: optimizer={recipe.optimizer!r}"
        )
    settings = {"learning_rate": schedule, "global_clipnorm": recipe.clip}
    if recipe.weight_decay:
        settings["weight_decay"] = recipe.weight_decay
    if recipe.reset_momentum:
        if recipe.optimizer != "coupled_sgd":
            raise ValueError(
                "Invalid value for argument `reset_momentum`. Expected the "
                "optimizer 'coupled_sgd' with it. Received: "
                f"optimizer={recipe.optimizer!r}"
            )
        settings["reset_momentum_every"] = steps_per_epoch
    return OPTIMIZERS[recipe.optimizer](recipe.momentum, settings)


def with_momentum(optimizer):
    return lambda momentum, settings: optimizer(momentum=momentum, **settings)


def with_first_decay(optimizer):
    return lambda momentum, settings: optimizer(beta_1=momentum, **settings)


OPTIMIZERS = {
    "sgd": with_momentum(keras.optimizers.SGD),
    "coupled_sgd": with_momentum(CoupledSGD),
    "adam": with_first_decay(keras.optimizers.Adam),
    "lamb": with_first_decay(keras.optimizers.Lamb),
    "lars": with_momentum(LARS),
}
