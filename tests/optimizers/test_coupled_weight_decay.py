"""The private hook of Keras that `CoupledWeightDecay` relies on."""

import inspect

import keras
import numpy as np

from keras_lbreg.optimizers.coupled_weight_decay import CoupledWeightDecay

CHECKED_AGAINST = "Keras 3.15"


def test_keras_still_decays_through_the_hook():
    message = (
        "Keras changed the hook that keeps weight decay coupled, checked "
        f"against {CHECKED_AGAINST}; this is Keras {keras.__version__}."
    )
    base = keras.optimizers.Optimizer
    assert list(inspect.signature(base._apply_weight_decay).parameters) == [
        "self",
        "variables",
    ], message
    assert list(inspect.signature(base._use_weight_decay).parameters) == [
        "self",
        "variable",
    ], message

    # Keras's own SGD decays through it, and not when it is empty.
    class WithoutDecay(keras.optimizers.SGD):
        def _apply_weight_decay(self, variables):
            pass

    for optimizer_class, expected in (
        (keras.optimizers.SGD, 0.75),
        (WithoutDecay, 1.0),
    ):
        variable = keras.Variable(np.ones((2,), "float32"))
        optimizer = optimizer_class(0.5, weight_decay=0.5)
        optimizer.apply([np.zeros((2,), "float32")], [variable])
        np.testing.assert_allclose(
            np.array(variable), [expected] * 2, err_msg=message
        )


def test_weight_decay_of_a_variable():
    kernel = keras.Variable(np.ones((2, 2)), name="kernel")
    bias = keras.Variable(np.ones((2,)), name="bias")
    optimizer = CoupledWeightDecay(learning_rate=0.1, weight_decay=0.01)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert optimizer.weight_decay_of(kernel) == 0.01
    assert optimizer.weight_decay_of(bias) == 0.0
    assert CoupledWeightDecay(0.1).weight_decay_of(kernel) == 0.0
