"""Settings of techniques as users write them."""

import numbers

from keras_lbreg.checks import check_positive_int
from keras_lbreg.techniques.register import get


def check_hyperparameters(hyperparameters):
    """Raise unless these are settings of techniques, of the right kind.

    Args:
        hyperparameters: Hyperparameters by technique name, a dictionary of
            dictionaries.

    Raises:
        ValueError: A technique or a hyperparameter is unknown, or a value is
            of another kind than its default.

    Example:

    >>> check_hyperparameters({"dreg": {"weight": "much"}})
    ValueError: Invalid value for argument `dreg.weight`. ...

    Reference: `try_out` finds the values that are out of range.
    """
    for name, values in hyperparameters.items():
        technique = get(name)
        if not isinstance(values, dict):
            raise ValueError(
                "Invalid value for argument `hyperparameters`. Expected a "
                f"dictionary by hyperparameter for {name!r}. Received: "
                f"{values!r}"
            )
        technique.hyperparameters(values)
        for key, value in values.items():
            if key in ("ghost_batch_size", "groups"):
                check_positive_int(key, value)
            elif key == "layer":
                # A name, or an index from the output: the model knows better.
                check_layer(f"{name}.{key}", value)
            else:
                check_kind(f"{name}.{key}", value, technique.defaults[key])


def check_layer(name, value):
    right = value is None or isinstance(value, (str, int))
    if not right or isinstance(value, bool):
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected the name of a "
            "layer, or an index from the output (-1 is the last). Received: "
            f"{name}={value!r}"
        )


def check_kind(name, value, default):
    """Raise unless `value` is of the same kind as its default."""
    if isinstance(default, str):
        expected, right = "a word", isinstance(value, str)
    else:
        expected = "a number"
        right = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if default is None:
            expected, right = "a number or None", right or value is None
    if not right:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected {expected}, as "
            f"the default, {default!r}. Received: {name}={value!r}"
        )
