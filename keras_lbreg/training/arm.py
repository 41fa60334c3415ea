"""One way to train a workload, among those that are compared."""

import dataclasses
import re
from collections.abc import Mapping

from keras_lbreg.checks import check_positive_int, check_positive_number
from keras_lbreg.techniques import TECHNIQUES, check_hyperparameters, get


@dataclasses.dataclass(frozen=True)
class Arm:
    """A batch size and the techniques that go with it.

    Args:
        title: The name in tables and plots.
        techniques: Names of techniques, or a dictionary of hyperparameters by
            technique name: `{"dreg": {"weight": 0.1}, "lr_scaling": {}}`.
            Hyperparameters left out come from the workload, then from the
            register of techniques.
        batch_size: `"small"`, `"large"` or an integer. Defaults to `"large"`.
        learning_rate_factor: Positive float, what the learning rate is
            multiplied by beside any scaling. Defaults to `1.0`.
        name: Optional name on the command line and in folders, of letters,
            digits and `_`. Defaults to the title in small letters.
        group: The part of the table it belongs to. Defaults to `"yours"`.
        control: Optional name of the arm that it is compared with.

    Raises:
        ValueError: A technique or hyperparameter is unknown, or a value makes
            no sense.

    Example:

    >>> arm = keras_lbreg.Arm(
    ...     "LR + DReg, strong",
    ...     {"lr_scaling": {}, "dreg": {"weight": 0.1}},
    ...     control="lr",
    ... )
    >>> arm.name
    'lr_dreg_strong'

    Reference: the columns of Hoffer et al. 2017,
    https://arxiv.org/abs/1705.08741
    """

    title: str
    techniques: Mapping = ()
    batch_size: str | int = "large"
    learning_rate_factor: float = 1.0
    name: str | None = None
    group: str = "yours"
    control: str | None = None

    def __post_init__(self):
        if not isinstance(self.title, str) or not self.title.strip():
            raise ValueError(
                "Invalid value for argument `title`. Expected a text. "
                f"Received: title={self.title!r}"
            )
        given = self.techniques
        if isinstance(given, str):
            given = (given,)
        if not isinstance(given, Mapping):
            given = {key: {} for key in given}
        for technique in given:
            get(technique)
        given = {name: dict(values or {}) for name, values in given.items()}
        check_hyperparameters(given)
        ordered = {t.name: given[t.name] for t in TECHNIQUES if t.name in given}
        object.__setattr__(self, "techniques", ordered)
        if self.batch_size not in ("small", "large"):
            check_positive_int("batch_size", self.batch_size)
        check_positive_number("learning_rate_factor", self.learning_rate_factor)
        name = self.name
        if name is None:
            name = re.sub(r"\W+", "_", self.title.lower()).strip("_")
        if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z_]\w*", name)):
            raise ValueError(
                "Invalid value for argument `name`. Expected letters, digits "
                f"and `_`, no digit first. Received: name={name!r}"
            )
        object.__setattr__(self, "name", name)

    def __hash__(self):
        return hash((self.name, self.title))
