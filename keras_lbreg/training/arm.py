"""An arm of a comparison, and what it trains with, all numbers resolved."""

import dataclasses
import math
import re
from collections.abc import Mapping

from keras_lbreg.checks import (
    check_positive_int,
    check_positive_number,
    invalid,
)
from keras_lbreg.distribute.batch_layout import batch_layout
from keras_lbreg.schedules.regime import Regime
from keras_lbreg.techniques import (
    TECHNIQUES,
    Context,
    check_hyperparameters,
    scale_regime,
    try_out,
)
from keras_lbreg.training.data import DatasetData
from keras_lbreg.training.placement import ONE_DEVICE, Placement

# A curve gets at least this many points where there are enough epochs.
CURVE_POINTS = 40


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
            raise invalid("title", "a text", self.title)
        given = self.techniques
        if isinstance(given, str):
            given = (given,)
        if not isinstance(given, Mapping):
            given = dict.fromkeys(given)
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
            expected = "letters, digits and `_`, no digit first"
            raise invalid("name", expected, name)
        object.__setattr__(self, "name", name)

    def __hash__(self):
        return hash((self.name, self.title))


@dataclasses.dataclass(frozen=True)
class Plan:
    """One arm of one workload, before a seed is chosen."""

    arm: Arm
    # At the arm's batch size.
    regime: Regime
    # Of a run with seed 0.
    context: Context
    # Full batches that all training samples make, those that are held out too:
    # a run that leaves them out makes the same updates.
    steps_per_epoch: int
    # All hyperparameters by name, in the register's order.
    techniques: dict
    placement: Placement = ONE_DEVICE

    @property
    def batch_size(self):
        return self.regime.base_batch_size

    @property
    def epochs(self):
        return self.regime.epochs

    @property
    def updates(self):
        return self.epochs * self.steps_per_epoch

    @property
    def samples(self):
        return self.updates * self.batch_size

    @property
    def record_every(self):
        """Epochs between records, a divisor that leaves `CURVE_POINTS`."""
        longest = max(1, self.epochs // CURVE_POINTS)
        return next(n for n in range(longest, 0, -1) if self.epochs % n == 0)

    def epoch_at(self, fraction):
        """The recorded epoch at which a fraction of the run is over."""
        if fraction <= 0:
            return 0
        # 7 / 25 times 25 comes out a little above 7.
        records = fraction * self.epochs / self.record_every - 1e-9
        return max(1, math.ceil(records)) * self.record_every

    def batch_layout(self):
        """How a batch is divided, as a `BatchLayout`."""
        mix = self.techniques.get("gradient_mix", {})
        ghosts = self.techniques.get("ghost_batch_norm", {})
        return batch_layout(
            self.batch_size,
            self.placement.handle,
            ghost_batch_size=ghosts.get("ghost_batch_size"),
            concentration=mix.get("concentration"),
            groups=mix.get("groups"),
        )

    def changes(self):
        """What the arm changes about the workload, as lines of text."""
        lines = list(self.regime.changes)
        for technique in TECHNIQUES:
            settings = self.techniques.get(technique.name)
            # Those that act on the regime have said so already.
            if settings is None or technique.regime is not None:
                continue
            values = ", ".join(
                f"{name}={value}"
                for name, value in settings.items()
                if value is not None
            )
            note = technique.note and technique.note(settings, self.context)
            note = f" ({note})" if note else ""
            lines.append(f"{technique.title}{values and ': '}{values}{note}")
        return lines

    def describe(self):
        """The arm as a manifest holds it."""
        config = self.regime.get_config()
        of_arm = ("name", "title", "group", "control", "learning_rate_factor")
        of_regime = ("milestones", "decay", "final_fraction", "warmup_epochs")
        # A setting that is not used is left out: a version of the package that
        # has one more goes on with the results of one that had not.
        techniques = {
            name: {k: v for k, v in settings.items() if v is not None}
            for name, settings in self.techniques.items()
        }
        return {
            **{name: getattr(self.arm, name) for name in of_arm},
            **{name: config[name] for name in of_regime},
            "learning_rate": config["base_learning_rate"],
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "updates": self.updates,
            "record_every": self.record_every,
            "techniques": techniques,
            "changes": self.changes(),
        }


def make_plan(
    workload, facts, arm, batch_size=None, placement=ONE_DEVICE, settings=None
):
    """The `Plan` of an arm; raises where sizes or settings cannot be.

    `settings` are hyperparameters by technique name, between the workload's
    own and the arm's.
    """
    small = workload.regime.base_batch_size
    size = resolve_batch_size(workload, arm, batch_size)
    samples = facts.train.samples
    if max(small, size) > samples:
        expected = f"at most the number of training samples, {samples}"
        raise invalid("batch_size", expected, max(small, size))
    if size % placement.devices:
        expected = (
            f"a multiple of {placement.devices}, the number of devices that "
            "share every batch, so that each has equally many samples"
        )
        raise invalid("batch_size", expected, size)
    if placement.workers > 1 and isinstance(facts.train, DatasetData):
        raise ValueError(
            "A `tf.data.Dataset` cannot be divided among several workers so "
            "that all make the same run. Expected arrays as `train_data`, or "
            "one worker."
        )
    facts.validation.check(placement)
    settings = settings or {}
    context = Context(
        seed=0,
        base_batch_size=small,
        batch_size=size,
        replicas=placement.replicas,
        validation_data=facts.validation.values(placement),
    )
    techniques = {}
    for technique in TECHNIQUES:
        name = technique.name
        if name not in arm.techniques:
            continue
        # What workloads and the register say is tested; these are not.
        given = {**settings.get(name, {}), **arm.techniques[name]}
        techniques[name] = technique.hyperparameters(
            {**workload.techniques.get(name, {}), **given}
        )
        if given:
            try_out(technique, techniques[name], context, facts.model)
    regime = scale_regime(
        workload.regime,
        techniques,
        context,
        arm.learning_rate_factor,
        "control" if arm.group == "control" else None,
    )
    steps = (samples + workload.held_out_samples) // size
    return Plan(arm, regime, context, steps, techniques, placement)


def resolve_batch_size(workload, arm, batch_size=None):
    """The batch size of an arm as a number."""
    small = workload.regime.base_batch_size
    if arm.batch_size == "small":
        return small
    if arm.batch_size != "large":
        return int(arm.batch_size)
    size = workload.batch_size if batch_size is None else batch_size
    if size is None:
        expected = (
            "the large batch size to train with, since the workload has none"
        )
        raise invalid("batch_size", expected, size)
    check_positive_int("batch_size", size)
    if size <= small:
        expected = f"more than the small batch size, {small}"
        raise invalid("batch_size", expected, size)
    return int(size)
