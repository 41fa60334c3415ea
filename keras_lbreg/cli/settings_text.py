"""A configuration on one line."""

from keras_lbreg.techniques import get, names


def settings_text(configuration, batch_size=True):
    """Return a configuration in short form.

    A technique is named by its symbol, with the values that were searched in
    the order of `settings_legend`: `512 x1.3 LR(sqrt, 2) GBN(32)`.

    Args:
        configuration: A `keras_lbreg.tuning.Configuration`.
        batch_size: Whether to begin with the batch size.

    Returns:
        A string.
    """
    words = [f"{configuration.batch_size:,}"] if batch_size else []
    if configuration.learning_rate_factor != 1:
        words.append(f"x{configuration.learning_rate_factor:.2g}")
    for name in names():
        if name in configuration.techniques:
            values = configuration.techniques[name]
            words.append(short_form(name, values, value_text))
    return " ".join(words) or "nothing added"


def settings_legend(space):
    """Return what the short forms of a search's techniques stand for.

    Args:
        space: The hyperparameters as `keras_tuner.HyperParameters.get_config`
            writes them under `"space"`.

    Returns:
        A string.
    """
    keys = {}
    for entry in space:
        name, _, key = entry["config"]["name"].partition(".")
        if name in names():
            keys.setdefault(name, {})[key] = key
    return ", ".join(short_form(name, keys[name], str) for name in keys)


def short_form(name, values, text):
    """Return a technique's symbol and values, in the order of the defaults."""
    technique = get(name)
    ordered = [text(values[k]) for k in technique.defaults if k in values]
    return technique.symbol + (f"({', '.join(ordered)})" if ordered else "")


def value_text(value):
    """Return a value, a number with two significant digits."""
    return f"{value:.2g}" if isinstance(value, float) else str(value)
