"""All variables of a model in training."""

import keras
import numpy as np


def training_state(model):
    """Copies of all variables of a compiled model and its optimizer.

    Under a strategy of several workers it may communicate: all of them call it.

    Args:
        model: A compiled and built `keras.Model`.

    Returns:
        List of NumPy arrays.

    Example:

    >>> state = training_state(model)
    >>> model.fit(x, y)
    >>> set_training_state(model, state)

    Reference: none.
    """
    return [_to_array(variable) for variable in _state_variables(model)]


def set_training_state(model, state):
    """Puts a `training_state` back.

    Args:
        model: The `keras.Model`, or one that is made in the same way.
        state: What `training_state` returned.

    Raises:
        ValueError: If it is not the state of such a model. Nothing is changed.

    Example:

    >>> set_training_state(model, state)

    Reference: none.
    """
    variables = _state_variables(model)
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in state]:
        raise ValueError(
            "The saved state does not fit the model: expected "
            f"{len(shapes)} variables, received {len(state)}, or their shapes "
            "differ. It was saved by another model or optimizer, or other "
            "versions. Write to another place, or begin anew: on the command "
            "line with `--fresh`, elsewhere by deleting what was saved."
        )
    for variable, value in zip(variables, state, strict=True):
        variable.assign(value)


def _state_variables(model):
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _to_array(variable):
    array = np.array(keras.ops.convert_to_numpy(variable))
    # NumPy's files know nothing of bfloat16, of which float32 holds all values.
    return array.astype("float32") if array.dtype.kind == "V" else array
