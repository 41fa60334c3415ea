"""One arm of a comparison."""

import dataclasses
from collections.abc import Mapping

from keras_lbreg.checks import check_positive_number
from keras_lbreg.techniques import get as get_technique
from keras_lbreg.techniques.check_hyperparameters import (
    check_hyperparameters,
)


@dataclasses.dataclass(frozen=True)
class Arm:
    """A batch size and the techniques that go with it.

    Args:
        name: The name on the command line and in folders: letters, digits
            and `_`.
        title: The name in tables and plots.
        group: `"reference"`, `"cumulative"`, `"alone"`, `"all"`,
            `"control"` or `"tuned"`: the block of the report it belongs to.
        batch: `"small"` or `"large"`.
        techniques: Names of techniques, in the order of the register.
        learning_rate_factor: What the learning rate is multiplied by beside
            any scaling.
        hyperparameters: Settings of its techniques, by technique name. They
            override those of the experiment and of the recipe.

    Raises:
        ValueError: An argument has no meaning; the message says which and
            what was expected.

    Example:

    >>> get_arm("lr_gbn").techniques
    ('lr_scaling', 'ghost_batch_norm')
    >>> tuned = Arm(
    ...     "tuned",
    ...     "Tuned",
    ...     "tuned",
    ...     techniques=("lr_scaling", "dreg"),
    ...     learning_rate_factor=1.3,
    ...     hyperparameters={"dreg": {"weight": 0.02}},
    ... )

    Reference: the columns of Hoffer et al. 2017,
    https://arxiv.org/abs/1705.08741
    """

    name: str
    title: str
    group: str
    batch: str = "large"
    techniques: tuple = ()
    learning_rate_factor: float = 1.0
    hyperparameters: Mapping = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise ValueError(
                "Invalid value for argument `name`. Expected a name of "
                "letters, digits and `_`, which begins with no digit. "
                f"Received: name={self.name!r}"
            )
        if self.batch not in ("small", "large"):
            raise ValueError(
                "Invalid value for argument `batch`. Expected 'small' or "
                f"'large'. Received: batch={self.batch!r}"
            )
        for name in self.techniques:
            get_technique(name)
        check_positive_number("learning_rate_factor", self.learning_rate_factor)
        check_hyperparameters(self.hyperparameters)
        foreign = sorted(set(self.hyperparameters) - set(self.techniques))
        if foreign:
            raise ValueError(
                "Invalid value for argument `hyperparameters`. Expected "
                f"settings of the arm's techniques, {list(self.techniques)}. "
                f"Received: settings of {foreign}"
            )
