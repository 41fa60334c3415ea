"""The option `--image-size`."""

import re


def parse_image_size(text):
    """Height and width out of what was typed.

    Args:
        text: `"96"`, `"96,128"` or `"96x128"`, or `None`.

    Returns:
        A pair of integers, or `None`.

    Raises:
        ValueError: It is something else.

    Example:

    >>> parse_image_size("96,128")
    (96, 128)

    Reference: `lbreg data export --image-size`.
    """
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+)\s*(?:[,x]\s*(\d+)\s*)?", text)
    if match is None:
        raise ValueError(
            "Invalid value for argument `--image-size`. Expected a height and "
            "a width in pixels, such as 96,128, or one number for both. "
            f"Received: --image-size {text}"
        )
    height, width = match[1], match[2] or match[1]
    return int(height), int(width)
