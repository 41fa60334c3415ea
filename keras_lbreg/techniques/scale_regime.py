"""The regime of a run, from that of the small batch and its techniques."""

import dataclasses

from keras_lbreg.techniques.register import TECHNIQUES


def scale_regime(regime, techniques, context, factor=1.0, why=None):
    """What the techniques make of the small batch's regime.

    ```
    learning rate = factor * (what the techniques' rules give)
    ```

    Args:
        regime: The `Regime` of the small batch.
        techniques: All hyperparameters by name of each technique that is on.
        context: The run's `Context`.
        factor: What every learning rate is multiplied by at the end.
        why: What the regime's `changes` say of the factor. Defaults to the
            factor itself.

    Returns:
        The `Regime` at `context.batch_size`.

    Raises:
        ValueError: As `Regime.scaled`.

    Example:

    >>> context = Context(seed=0, base_batch_size=128, batch_size=512)
    >>> regime = Regime(128, 0.1, epochs=50)
    >>> settings = {"rule": "sqrt", "warmup_epochs": 0}
    >>> scale_regime(regime, {"lr_scaling": settings}, context)

    Reference: `Technique` describes the hook `regime`.
    """
    scaling = {"rule": None}
    for technique in TECHNIQUES:
        if technique.name in techniques and technique.regime:
            scaling |= technique.regime(techniques[technique.name], context)
    scaled = regime.scaled(context.batch_size, verbose=False, **scaling)
    if factor == 1:
        return scaled
    times = scaled.with_rates_times(factor)
    why = why or f"x{factor:.4g}"
    change = f"learning rate {scaled.rate_text} -> {times.rate_text} ({why})"
    return dataclasses.replace(times, changes=(*scaled.changes, change))
