"""The shape of parsed JSON, checked before it is used."""

from types import NoneType

NUMBER = (int, float)


def check_shape(value, shape, place):
    """Raise unless parsed JSON has the types of a pattern.

    Args:
        value: What was parsed.
        shape: A type or a tuple of types; a list of one shape, which all
            elements must have; or a dictionary of the shapes of the keys that
            must be there. Other keys are allowed.
        place: What to call the value in the message.

    Raises:
        ValueError: It has not; the message names the place.

    Example:

    >>> check_shape({"seeds": [0, "a"]}, {"seeds": [int]}, "manifest")
    ValueError: expected an integer as manifest.seeds[1]

    Reference: https://www.json.org names the kinds of values.
    """
    if isinstance(shape, dict):
        check_shape(value, dict, place)
        for key, part in shape.items():
            if key not in value:
                raise ValueError(f"{place}.{key} is missing")
            check_shape(value[key], part, f"{place}.{key}")
    elif isinstance(shape, list):
        check_shape(value, list, place)
        for index, element in enumerate(value):
            check_shape(element, shape[0], f"{place}[{index}]")
    # JSON's true and false are integers to Python.
    elif not isinstance(value, shape) or isinstance(value, bool):
        raise ValueError(f"expected {NAMES[shape]} as {place}")


NAMES = {
    dict: "an object",
    list: "an array",
    str: "a text",
    int: "an integer",
    NUMBER: "a number",
    (*NUMBER, NoneType): "a number or null",
    (int, NoneType): "an integer or null",
    (str, NoneType): "a text or null",
}
