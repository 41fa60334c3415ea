"""The values of one hyperparameter: a `SearchRange` or a tuple of choices."""

import numbers

from keras_lbreg.techniques import SearchRange, get


def declare_range(hp, name, values, default=None):
    """Register one hyperparameter of the kind that suits its values."""
    default = first_value(values, default)
    if not isinstance(values, SearchRange):
        if len(values) == 1:
            hp.Fixed(name, values[0])
            return
        hp.Choice(name, list(values), default=default)
        return
    low, high = values.low, values.high
    whole = isinstance(low, int) and isinstance(high, int)
    (hp.Int if whole else hp.Float)(
        name,
        low,
        high,
        sampling="log" if values.log else "linear",
        default=default,
    )


def first_value(values, default=None):
    """The default where it is among the values, else the first of them."""
    if not isinstance(values, SearchRange):
        return default if default in values else values[0]
    inside = isinstance(default, numbers.Real) and (
        values.low <= default <= values.high
    )
    return default if inside else values.low


def ends(values):
    """The values to try before a search: a range's ends, or all choices."""
    if isinstance(values, SearchRange):
        return values.low, values.high
    return values


def checked_ranges(ranges, used):
    """Ranges whose values are `SearchRange`s or tuples of choices."""
    checked = {}
    for name, values_by_key in ranges.items():
        technique = get(name)
        if name not in used:
            raise ValueError(
                "Invalid value for argument `ranges`. Expected techniques that "
                f"are searched, {list(used)}. Received: ranges for {name!r}"
            )
        # Unknown hyperparameters raise.
        technique.hyperparameters(values_by_key)
        checked[name] = {
            key: as_values(f"{name}.{key}", values)
            for key, values in values_by_key.items()
        }
    return checked


def as_values(name, values):
    if isinstance(values, SearchRange):
        return values
    choices = tuple(values) if isinstance(values, (list, tuple)) else (values,)
    kinds = {float if isinstance(x, float) else type(x) for x in choices}
    if kinds == {int, float}:
        choices, kinds = tuple(map(float, choices)), {float}
    if len(kinds) != 1 or kinds - {str, int, float, bool}:
        raise ValueError(
            f"Invalid value for argument `ranges`. Expected for {name} a "
            "`SearchRange`, or words or numbers, all of one kind. Received: "
            f"{values!r}"
        )
    return tuple(dict.fromkeys(choices))


def check_factor(factor):
    if factor is None:
        return
    try:
        low, high = factor
        SearchRange(low, high, log=True)
    except (TypeError, ValueError):
        raise ValueError(
            "Invalid value for argument `learning_rate_factor`. Expected the "
            "smallest and the largest factor, positive, or None. Received: "
            f"learning_rate_factor={factor!r}"
        ) from None
