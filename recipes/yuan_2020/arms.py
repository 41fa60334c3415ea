"""The arms of every comparison: the paper's form and its controls."""

from keras_lbreg import Arm
from keras_lbreg.comparison.arms import BASELINE

DOUBLED = Arm(
    "Learning rate x2 (control)",
    learning_rate_factor=2.0,
    name="doubled",
    group="control",
    control=BASELINE,
)
# The names of the arms that every comparison of batch sizes has.
ARMS = (
    BASELINE,
    "doubled",
    "dreg",
    "dreg_mean",
    "dreg_split",
    "dreg_relative",
)


def dreg_arm(name="dreg", title="DReg (the paper's form)", **settings):
    """An arm with DReg, in the paper's form where `settings` say nothing.

    Reference: Eq. 3 of https://arxiv.org/abs/2011.08968
    """
    paper = {
        "weight": 0.1,
        "distance": "frobenius",
        "paths": "both",
        "path_reduction": "sum",
    }
    return Arm(
        title,
        {"dreg": {**paper, **settings}},
        name=name,
        group="alone",
        control="doubled",
    )


def all_arms(weight=0.1):
    """The arms that `ARMS` names beside the baseline.

    The weight of the penalty is one for all, so that the distance of the
    kernels follows one law. The mean and the split data term are half of the
    sum: the penalty counts double beside them.
    """
    return (
        DOUBLED,
        dreg_arm(weight=weight),
        dreg_arm(
            "dreg_mean",
            "DReg, mean of the paths (control)",
            weight=weight,
            path_reduction="mean",
        ),
        dreg_arm(
            "dreg_split",
            "DReg, split batch (ours)",
            weight=weight,
            paths="split",
        ),
        dreg_arm(
            "dreg_relative",
            # Recorded with the bare ratio of ‖D‖² and the sum of squares: the
            # bounded distance with λ / n_0.
            "DReg, bounded distance (recorded: bare ratio)",
            weight=weight,
            distance="bounded",
        ),
    )


def position_arms(layers):
    """An arm for each layer that DReg may double, named after it."""
    return tuple(
        dreg_arm(f"dreg_{layer}", f"DReg at {layer}", layer=layer)
        for layer in layers
    )


def weight_arms(weights):
    """An arm for each weight of the penalty."""
    return tuple(
        dreg_arm(
            f"dreg_weight_{str(weight).replace('.', '_')}",
            f"DReg, λ = {weight:g}",
            weight=weight,
        )
        for weight in weights
    )
