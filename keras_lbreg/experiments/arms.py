"""The arms of a comparison, made from the register of techniques."""

from keras_lbreg.experiments.arm import Arm
from keras_lbreg.techniques import TECHNIQUES

REFERENCE = "small_batch"
BASELINE = "large_batch"

# Hoffer et al.'s columns: each holds all the techniques before it.
CUMULATIVE = ("lr_scaling", "ghost_batch_norm", "regime_adaptation")


def standard_arms():
    """All arms, in the order of the report.

    The small batch, the large batch, Hoffer et al.'s cumulative columns, every
    other technique alone on top of learning-rate scaling, all of them but the
    longer training, and the control that DReg needs: its loss sums two
    cross-entropies, so shared weights see about twice the gradient.

    Returns:
        A list of `Arm`s. A technique added to the register has its arm here.

    Example:

    >>> [arm.name for arm in standard_arms()][:3]
    ['small_batch', 'large_batch', 'lr']

    Reference: https://arxiv.org/abs/1705.08741
    """
    arms = [
        Arm(REFERENCE, "Small batch", "reference", batch="small"),
        Arm(BASELINE, "Large batch", "reference"),
    ]
    for count in range(1, len(CUMULATIVE) + 1):
        arms.append(combined("cumulative", CUMULATIVE[:count]))
    for technique in TECHNIQUES:
        if technique.name not in CUMULATIVE:
            arms.append(combined("alone", ("lr_scaling", technique.name)))
    everything = tuple(
        technique.name
        for technique in TECHNIQUES
        if technique.name != "regime_adaptation"
        and technique.alternative_to is None
    )
    arms.append(Arm("all", "All but RA", "all", techniques=everything))
    arms.append(
        Arm(
            "lr_doubled",
            "LR x2 (control)",
            "control",
            techniques=("lr_scaling",),
            learning_rate_factor=2.0,
        )
    )
    return arms


def combined(group, names):
    """The large-batch arm with these techniques, named after them."""
    symbols = [t.symbol for t in TECHNIQUES if t.name in names]
    name = "_".join(symbols).lower().replace("-", "_")
    return Arm(name, " + ".join(symbols), group, techniques=tuple(names))


def arm_names():
    """Names of all arms.

    Example:

    >>> arm_names()[-1]
    'lr_doubled'

    Reference: `standard_arms`.
    """
    return [arm.name for arm in standard_arms()]


def get_arm(name, extra_arms=()):
    """The arm of this name.

    Args:
        name: A name out of `arm_names()`, or of one of `extra_arms`.
        extra_arms: `Arm`s beside the standard ones.

    Raises:
        ValueError: There is no such arm.

    Example:

    >>> get_arm("lr").title
    'LR'

    Reference: `standard_arms`.
    """
    arms = {arm.name: arm for arm in (*standard_arms(), *extra_arms)}
    if name not in arms:
        raise ValueError(
            f"Invalid value for argument `arms`. Expected names out of "
            f"{list(arms)}. Received: {name!r}"
        )
    return arms[name]


def in_report_order(names):
    """Every name once: the standard arms in their order, then the others.

    Example:

    >>> in_report_order(["mine", "lr", "small_batch", "lr"])
    ['small_batch', 'lr', 'mine']

    Reference: `standard_arms`.
    """
    names = list(dict.fromkeys(names))
    standard = [name for name in arm_names() if name in names]
    return standard + [name for name in names if name not in standard]
