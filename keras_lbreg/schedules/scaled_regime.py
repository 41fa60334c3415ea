"""What a training regime becomes at another batch size."""

import dataclasses

from keras_lbreg.checks import check_positive_int
from keras_lbreg.schedules.scale_learning_rate import scale_learning_rate


def scaled_regime(regime, batch_size, rule, warmup_epochs, stretch):
    """The body of `Regime.scaled`, which documents it."""
    check_positive_int("batch_size", batch_size)
    base = regime.base_batch_size
    changes = list(regime.changes)
    if batch_size != base:
        changes.append(
            f"batch size {base} -> {batch_size} (x{batch_size / base:.4g})"
        )

    factor = 1.0
    if rule is not None:
        factor = scale_learning_rate(1.0, base, batch_size, rule)
    rate = regime.base_learning_rate * factor
    if factor != 1:
        changes.append(
            f"learning rate {regime.base_learning_rate:.4g} -> {rate:.4g} "
            f"({rule} rule, x{factor:.4g})"
        )

    epochs = regime.epochs
    milestones = [(epoch, r * factor) for epoch, r in regime.milestones]
    if stretch:
        epochs = stretched_epoch(epochs, base, batch_size)
        milestones = [
            (stretched_epoch(epoch, base, batch_size), r)
            for epoch, r in milestones
        ]
        check_no_period_vanished(milestones, epochs, base, batch_size)
    if epochs != regime.epochs:
        changes.append(
            f"epochs {regime.epochs} -> {epochs} "
            f"(regime adaptation, x{batch_size / base:.4g})"
        )

    warmup_start = regime.warmup_start
    if warmup_epochs is None:
        warmup_epochs = regime.warmup_epochs
    elif warmup_epochs:
        warmup_start = 1 / factor if factor > 1 else 0.0
        changes.append(
            f"warm-up over {warmup_epochs:g} epochs from learning rate "
            f"{warmup_start * rate:.4g}"
        )
    elif regime.warmup_epochs:
        changes.append("no warm-up any more")
    return dataclasses.replace(
        regime,
        base_batch_size=batch_size,
        base_learning_rate=rate,
        epochs=epochs,
        milestones=milestones,
        warmup_epochs=warmup_epochs,
        warmup_start=warmup_start,
        changes=changes,
    )


def stretched_epoch(epoch, base, batch_size):
    """`epoch * batch_size / base`, rounded to the nearest integer, halves up.

    In integers throughout, so that an exact half does not depend on how the
    ratio of the batch sizes is rounded.
    """
    return (2 * epoch * batch_size + base) // (2 * base)


def check_no_period_vanished(milestones, epochs, base, batch_size):
    starts = [0, *(epoch for epoch, _ in milestones)]
    if epochs < 1 or len(set(starts)) < len(starts):
        raise ValueError(
            "Invalid value for argument `batch_size`. With `stretch=True` "
            "every period of the regime must keep at least one epoch. "
            f"Received: batch_size={batch_size} for base_batch_size={base}, "
            f"which lets periods start at epochs {starts} of {epochs}. Choose "
            "a larger batch, or merge short periods of the regime."
        )
