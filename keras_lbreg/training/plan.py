"""What one arm trains with, all numbers resolved."""

import dataclasses
import math

from keras_lbreg.checks import check_positive_int
from keras_lbreg.distribute.batch_layout import batch_layout
from keras_lbreg.schedules.regime import Regime
from keras_lbreg.techniques import TECHNIQUES, Context, scale_regime, try_out
from keras_lbreg.training.placement import ONE_DEVICE, Placement

# A curve gets at least this many points where there are enough epochs.
CURVE_POINTS = 40


@dataclasses.dataclass(frozen=True)
class Plan:
    """One arm of one workload, before a seed is chosen.

    Args:
        arm: The `Arm`.
        regime: The `Regime` at the arm's batch size.
        base_batch_size: The small batch.
        steps_per_epoch: Full batches that all training samples make, those
            that are held out too: a run that leaves them out makes the same
            updates.
        techniques: All hyperparameters by technique name, in the register's
            order.
        record_every: Epochs between two recorded ones.
        placement: The `Placement`: what shares a batch.
    """

    arm: object
    regime: Regime
    base_batch_size: int
    steps_per_epoch: int
    techniques: dict
    record_every: int
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
        context = Context(
            seed=0,
            base_batch_size=self.base_batch_size,
            batch_size=self.batch_size,
            replicas=self.placement.replicas,
        )
        for technique in TECHNIQUES:
            settings = self.techniques.get(technique.name)
            # Those that act on the regime have said so already.
            if settings is not None and technique.regime is None:
                values = ", ".join(
                    f"{name}={value}"
                    for name, value in settings.items()
                    if value is not None
                )
                note = technique.note and technique.note(settings, context)
                note = f" ({note})" if note else ""
                lines.append(f"{technique.title}: {values}{note}")
        return lines

    def describe(self):
        """The arm as a manifest holds it."""
        config = self.regime.get_config()
        rate = config["base_learning_rate"]
        return {
            "name": self.arm.name,
            "title": self.arm.title,
            "group": self.arm.group,
            "control": self.arm.control,
            "batch_size": self.batch_size,
            "learning_rate": rate,
            "milestones": config["milestones"],
            "decay": config["decay"],
            "final_fraction": config["final_fraction"],
            "warmup_epochs": config["warmup_epochs"],
            "learning_rate_factor": self.arm.learning_rate_factor,
            "epochs": self.epochs,
            "updates": self.updates,
            "record_every": self.record_every,
            "techniques": self.techniques,
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
    for name in ("small", "large"):
        value = {"small": small, "large": size}[name]
        if value > samples:
            raise ValueError(
                "Invalid value for argument `batch_size`. Expected at most "
                f"the number of training samples, {samples}. Received: "
                f"batch_size={value}"
            )
    check_divisible(size, placement)
    facts.validation.check(placement)
    settings = settings or {}
    techniques = {
        technique.name: technique.hyperparameters(
            {
                **workload.techniques.get(technique.name, {}),
                **settings.get(technique.name, {}),
                **arm.techniques[technique.name],
            }
        )
        for technique in TECHNIQUES
        if technique.name in arm.techniques
    }
    context = Context(
        seed=0,
        base_batch_size=small,
        batch_size=size,
        replicas=placement.replicas,
        validation_data=facts.validation.values(placement),
    )
    for technique in TECHNIQUES:
        # What workloads and the register say is tested; these are not.
        name = technique.name
        given = settings.get(name) or arm.techniques.get(name)
        if name in techniques and given:
            try_out(technique, techniques[name], context, facts.model)
    regime = scale_regime(
        workload.regime,
        techniques,
        context,
        arm.learning_rate_factor,
        "control" if arm.group == "control" else None,
    )
    return Plan(
        arm=arm,
        regime=regime,
        base_batch_size=small,
        steps_per_epoch=(samples + workload.held_out_samples) // size,
        techniques=techniques,
        record_every=recording_interval(regime.epochs),
        placement=placement,
    )


def resolve_batch_size(workload, arm, batch_size=None):
    """The batch size of an arm as a number."""
    small = workload.regime.base_batch_size
    if arm.batch_size == "small":
        return small
    if arm.batch_size != "large":
        return int(arm.batch_size)
    size = workload.batch_size if batch_size is None else batch_size
    if size is None:
        raise ValueError(
            "Invalid value for argument `batch_size`. Expected the large batch "
            "size to train with, since the workload has none. Received: "
            "batch_size=None"
        )
    check_positive_int("batch_size", size)
    if size <= small:
        raise ValueError(
            "Invalid value for argument `batch_size`. Expected more than the "
            f"small batch size, {small}. Received: batch_size={size}"
        )
    return int(size)


def recording_interval(epochs):
    """The largest divisor of `epochs` that leaves `CURVE_POINTS` points."""
    longest = max(1, epochs // CURVE_POINTS)
    return next(n for n in range(longest, 0, -1) if epochs % n == 0)


def check_divisible(batch_size, placement):
    if batch_size % placement.devices:
        raise ValueError(
            "Invalid value for argument `batch_size`. Expected a multiple of "
            f"{placement.devices}, the number of devices that share every "
            "batch, so that each has equally many samples. Received: "
            f"batch_size={batch_size}"
        )
