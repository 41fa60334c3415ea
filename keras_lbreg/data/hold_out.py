"""Validation data out of the training data."""

import dataclasses

import numpy as np

from keras_lbreg.data.rows import choose_rows


def hold_out(dataset, fraction, seed=0):
    """Set a part of the training data apart, to validate on.

    Of every class with `n` training samples,

    ```
    min(round(fraction * n), n - 1)
    ```

    samples drawn at random become the validation data, so that the classes
    keep their shares. The dataset's own validation data is left out of the
    result: what is chosen by the part set apart has not seen it.

    Args:
        dataset: The `Dataset`.
        fraction: Share of the training data to set apart, in `(0, 1)`.
        seed: Non-negative int. Of the choice of the samples.

    Returns:
        A `Dataset` of the same name.

    Raises:
        ValueError: No sample would be set apart.

    Example:

    >>> part = hold_out(load_dataset("digits"), 0.1)
    >>> len(part.x_train), len(part.x_val)
    (924, 100)

    Reference: Stone 1974, "Cross-validatory choice and assessment of
    statistical predictions".
    """
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(dataset.y_train), bool)
    for label in np.unique(dataset.y_train):
        members = np.flatnonzero(dataset.y_train == label)
        count = min(int(fraction * len(members) + 0.5), len(members) - 1)
        chosen[random.permutation(members)[:count]] = True
    if not chosen.any():
        raise ValueError(
            "Invalid value for argument `holdout`. Expected a fraction that "
            "sets at least one training sample of some class apart. Received: "
            f"holdout={fraction} of {len(chosen)} samples"
        )
    notes = (
        f"{chosen.sum()} of the {len(chosen)} training samples, an equal "
        "share of each class, are set apart and stand in for the validation "
        "data, which is not used."
    )
    return dataclasses.replace(
        dataset,
        x_train=choose_rows(dataset.x_train, ~chosen),
        y_train=dataset.y_train[~chosen],
        # In memory also where the dataset is not: it is what is validated on.
        x_val=dataset.x_train[chosen],
        y_val=dataset.y_train[chosen],
        notes=f"{dataset.notes} {notes}".strip(),
    )
