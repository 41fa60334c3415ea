"""Contract with the private parts of Keras's `compile`, on Keras 3.15."""

import keras

from keras_lbreg.tuning.keras_hooks import compile_arguments


def error(y, y_pred):
    return keras.ops.mean(keras.ops.square(y - y_pred), axis=-1)


def test_arguments_are_the_very_objects_that_were_given():
    model, other = (
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        for _ in range(2)
    )
    given = {
        "optimizer": keras.optimizers.SGD(0.1),
        "loss": lambda y, y_pred: 2 * error(y, y_pred),
        "loss_weights": None,
        "metrics": [error],
        "weighted_metrics": [keras.metrics.MeanSquaredError()],
        "run_eagerly": True,
        "steps_per_execution": 3,
        "jit_compile": False,
    }
    model.compile(**given)
    arguments = compile_arguments(model)
    assert arguments == given
    assert arguments["loss"] is given["loss"]
    # They are `compile`'s own names: another model takes them.
    other.compile(**{**arguments, "optimizer": "sgd"})
    assert other.run_eagerly
    assert other.steps_per_execution == 3
