"""Validation data out of the training data."""

import numpy as np

from keras_lbreg.checks import check_positive_number


def hold_out_rows(y, fraction, seed=0):
    """Which training samples are set apart to validate on.

    Of every class with `n` samples,

    ```
    min(round(fraction * n), n - 1)
    ```

    drawn at random are held out, so that the classes keep their shares.
    Targets that are no class labels (real numbers, several axes, integers
    that are nearly all different) are drawn without regard to their value.

    Args:
        y: Targets of the training data, the sample axis first, or a structure
            of such arrays, of which the first one counts.
        fraction: Share of the training data to hold out, in `(0, 1)`.
        seed: Non-negative int. Defaults to `0`.

    Returns:
        The pair `(kept, held)` of increasing index arrays, none empty.

    Raises:
        ValueError: There are too few samples for the fraction.

    Example:

    >>> kept, held = hold_out_rows(np.arange(1000) % 10, 0.1)
    >>> len(kept), len(held)
    (900, 100)

    Reference: Stone 1974, "Cross-validatory choice and assessment of
    statistical predictions".
    """
    check_positive_number("holdout", fraction)
    while isinstance(y, dict | tuple):
        y = y[min(y) if isinstance(y, dict) else 0]
    y = np.asarray(y)
    wanted = min(int(fraction * len(y) + 0.5), len(y) - 1)
    one_class = np.zeros(len(y))
    are_labels = y.ndim == 1 and y.dtype.kind in "iu"
    labels = y if are_labels else one_class
    chosen = share_of_each_class(labels, fraction, seed)
    if 2 * chosen.sum() < wanted:
        chosen = share_of_each_class(one_class, fraction, seed)
    if not chosen.any():
        raise ValueError(
            "Invalid value for argument `holdout`. Expected a fraction that "
            "sets at least one training sample apart and leaves one. "
            f"Received: holdout={fraction} of {len(y)} samples"
        )
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def share_of_each_class(labels, fraction, seed):
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(int(fraction * len(members) + 0.5), len(members) - 1)
        chosen[random.permutation(members)[:count]] = True
    return chosen
