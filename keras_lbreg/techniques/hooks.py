"""The hooks of the techniques that a run has."""

from keras_lbreg.techniques.register import TECHNIQUES


def hooks(techniques, kind):
    """Pairs of a hook and its technique's settings, in the register's order.

    Args:
        techniques: All hyperparameters by name of each technique that is on.
        kind: Name of a hook, such as `"model"`.

    Returns:
        List of pairs.

    Example:

    >>> for hook, settings in hooks(techniques, "model"):
    ...     model = hook(model, settings, context)

    Reference: `Technique` describes the hooks.
    """
    return [
        (getattr(technique, kind), techniques[technique.name])
        for technique in TECHNIQUES
        if technique.name in techniques and getattr(technique, kind)
    ]
