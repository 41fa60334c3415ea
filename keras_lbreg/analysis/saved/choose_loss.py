"""The loss to analyse a saved classifier with."""

import keras
import numpy as np

CROSSENTROPIES = (
    keras.losses.SparseCategoricalCrossentropy,
    keras.losses.CategoricalCrossentropy,
)
FUNCTIONS = (
    keras.losses.sparse_categorical_crossentropy,
    keras.losses.categorical_crossentropy,
)
# As many samples tell probabilities from logits.
LOOKED_AT = 128


def choose_loss(model, samples, path):
    """Crossentropy with integer labels, of logits or of probabilities.

    Which of the two is taken from the loss the model is compiled with. Where
    there is none, outputs that are not negative and add up to 1 for every
    sample are taken for probabilities, and all others for logits.

    Args:
        model: A loaded `keras.Model`.
        samples: The `Samples`.
        path: The model's file, for messages.

    Returns:
        The pair of a `keras.losses.Loss` and a note that says what was taken.

    Raises:
        ValueError: The model does not take such inputs, does not give one
            number for each class, or is compiled with another loss.

    Example:

    >>> loss, note = choose_loss(model, samples, "model.keras")

    Reference: `keras.losses.SparseCategoricalCrossentropy`.
    """
    outputs = outputs_of(model, samples, path)
    compiled = getattr(model, "loss", None)
    if compiled is None:
        from_logits = not adds_up_to_one(outputs)
        why = (
            "assumed, as the model is not compiled and its outputs "
            f"{'do not add' if from_logits else 'add'} up to 1"
        )
    else:
        from_logits = compiled_from_logits(compiled, path)
        why = "as the model is compiled"
    kind = "logits" if from_logits else "probabilities"
    return (
        keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits),
        f"loss: crossentropy of {kind} ({why})",
    )


def outputs_of(model, samples, path):
    shape = getattr(model, "input_shape", None)
    received = tuple(samples.x.shape[1:])
    if isinstance(shape, tuple) and not fits(shape[1:], received):
        raise ValueError(
            f"The model {path} does not fit the data. Expected samples of "
            f"shape {shape[1:]}. Received: {received}, that of "
            f"{samples.description['title']}"
        )
    try:
        outputs = model.predict(samples.x[:LOOKED_AT], verbose=0)
    except Exception as error:
        raise ValueError(
            f"The model {path} does not take the samples of "
            f"{samples.description['title']}, of shape {received}: "
            f"{first_sentence(error)}"
        ) from error
    classes = samples.classes
    if getattr(outputs, "ndim", 0) != 2 or outputs.shape[1] < classes:
        got = getattr(outputs, "shape", None)
        raise ValueError(
            f"The model {path} does not fit the data. Expected one output for "
            f"each of the {classes} classes of {samples.description['title']}. "
            "Received: "
            + ("several outputs" if got is None else f"outputs of shape {got}")
        )
    return outputs


def fits(shape, received):
    return len(shape) == len(received) and all(
        size is None or size == other
        for size, other in zip(shape, received, strict=True)
    )


def adds_up_to_one(outputs):
    outputs = np.asarray(outputs, "float64")
    sums = outputs.sum(axis=1)
    return bool(np.all(outputs >= 0) and np.allclose(sums, 1, atol=1e-2))


def compiled_from_logits(compiled, path):
    loss = keras.losses.get(compiled) if isinstance(compiled, str) else compiled
    if isinstance(loss, CROSSENTROPIES):
        return bool(loss.get_config().get("from_logits", False))
    if loss in FUNCTIONS:
        return False
    raise ValueError(
        f"The model {path} is compiled with another loss than a "
        "classifier's. Expected sparse_categorical_crossentropy or "
        f"categorical_crossentropy. Received: loss={compiled!r}"
    )


def first_sentence(error):
    """The first line of an error's message, or its first sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].partition(". ")[0].rstrip(".")
