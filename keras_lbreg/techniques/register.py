"""Every technique, in the order in which arms and tables name them."""

from keras_lbreg.techniques.dreg import DREG
from keras_lbreg.techniques.ghost_batch_norm import GHOST_BATCH_NORM
from keras_lbreg.techniques.gradient_mix import GRADIENT_MIX
from keras_lbreg.techniques.gradient_noise import GRADIENT_NOISE
from keras_lbreg.techniques.group_noise import GROUP_NOISE
from keras_lbreg.techniques.lr_scaling import LR_SCALING
from keras_lbreg.techniques.regime_adaptation import REGIME_ADAPTATION

TECHNIQUES = (
    LR_SCALING,
    GHOST_BATCH_NORM,
    REGIME_ADAPTATION,
    GRADIENT_NOISE,
    DREG,
    GRADIENT_MIX,
    GROUP_NOISE,
)


def names():
    """Names of all techniques.

    Returns:
        A list of strings.

    Example:

    >>> names()[:2]
    ['lr_scaling', 'ghost_batch_norm']

    Reference: `Technique`.
    """
    return [technique.name for technique in TECHNIQUES]


def get(name):
    """The technique of this name.

    Args:
        name: A name out of `names()`.

    Raises:
        ValueError: There is no such technique.

    Example:

    >>> get("dreg").title
    'Distinctive regularization'

    Reference: `Technique`.
    """
    for technique in TECHNIQUES:
        if technique.name == name:
            return technique
    raise ValueError(
        f"Invalid technique. Expected one of {names()}. Received: {name!r}"
    )
