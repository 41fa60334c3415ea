"""Accumulation and averaging of Keras's optimizers, inside of a strategy.

Keras decides in each replica whether a micro-batch is the last one of its
update, and whether the averages of the variables replace them. TensorFlow
refuses that, as replicas cannot meet inside of a condition of their own (Keras
issue 20582). Here they decide together.

The steps are those of `Optimizer._backend_apply_gradients` in Keras 3.15;
tests/optimizers/test_strategy_updates.py fails loudly when they change.
"""

import keras

from keras_lbreg.optimizers import replicas


def has_to_decide(optimizer):
    """Whether an update has decisions that replicas have to make together.

    Args:
        optimizer: `keras.optimizers.Optimizer` that updates variables itself.

    Returns:
        Boolean; False outside of a strategy.
    """
    decides = (
        optimizer.gradient_accumulation_steps
        or optimizer.ema_overwrite_frequency
    )
    return bool(decides) and replicas.under_strategy()


def apply_gradients(optimizer, gradients, variables, mark_as_reduced):
    """Does what `_backend_apply_gradients` does, on all replicas alike.

    Args:
        optimizer: `keras.optimizers.Optimizer` that updates variables itself.
        gradients: List of the reduced gradients of a micro-batch, dense if
            they are accumulated.
        variables: List of their variables.
        mark_as_reduced: Function without arguments that returns a context
            manager, in which the optimizer does not reduce again.
    """

    def update(gradients):
        # Replicas that decide together go on in threads of their own.
        with mark_as_reduced():
            gradients = optimizer._clip_gradients(gradients)
            optimizer._apply_weight_decay(variables)
            optimizer._backend_update_step(
                gradients, variables, optimizer.learning_rate
            )

    if optimizer.gradient_accumulation_steps:
        _accumulate(optimizer, gradients, variables, update)
    else:
        update(gradients)
    if optimizer.use_ema:
        _average(optimizer)


def _accumulate(optimizer, gradients, variables, update):
    """Updates with the mean over micro-batches, or adds one more to the sum."""
    steps = optimizer.gradient_accumulation_steps
    sums = [
        optimizer._accumulated_gradients[optimizer._get_variable_index(v)]
        for v in variables
    ]

    def is_last(gradients):
        return (optimizer._iterations + 1) % steps == 0

    def update_with_mean(gradients):
        update([(g + s) / steps for g, s in zip(gradients, sums, strict=True)])
        optimizer._backend_reset_gradient_accumulators()

    def add(gradients):
        for gradient, accumulator in zip(gradients, sums, strict=True):
            accumulator.assign(gradient + accumulator)

    replicas.cond_on_all_replicas(is_last, update_with_mean, add, gradients)


def _average(optimizer):
    """Updates the averages; every so often they replace the variables."""
    variables = optimizer._trainable_variables
    optimizer._update_model_variables_moving_average(variables)
    frequency = optimizer.ema_overwrite_frequency
    if not frequency:
        return

    def overwrite():
        optimizer._overwrite_model_variables_with_average_value(variables)

    replicas.call_for_all_replicas(
        lambda: keras.ops.cond(
            (optimizer.iterations + 1) % frequency == 0,
            overwrite,
            lambda: None,
        )
    )
