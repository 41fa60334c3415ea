"""What one arm trains with, all numbers resolved."""

import dataclasses
import math

from keras_lbreg.checks import check_positive_int
from keras_lbreg.distribute.batch_layout import batch_layout
from keras_lbreg.experiments.load_data import recipe_of
from keras_lbreg.experiments.placement import ONE_DEVICE, Placement
from keras_lbreg.experiments.validation import check_samples
from keras_lbreg.schedules import Regime
from keras_lbreg.techniques import TECHNIQUES, Context
from keras_lbreg.techniques.hooks import hooks
from keras_lbreg.techniques.scale_regime import scale_regime
from keras_lbreg.techniques.try_out import try_out

# A curve gets at least this many points where there are enough epochs.
CURVE_POINTS = 40


@dataclasses.dataclass(frozen=True)
class Plan:
    """One arm on one dataset, before a seed is chosen.

    Args:
        arm: The `Arm`.
        recipe: The dataset's `Recipe`.
        regime: The `Regime` at the arm's batch size.
        base_batch_size: The small batch.
        steps_per_epoch: Full batches that all training samples make. Where
            some are held out, the others come more often: a run makes the
            updates that it will make with all of them.
        techniques: Hyperparameters by technique name, in the register's
            order.
        record_every: Epochs between two recorded ones.
        placement: The `Placement`: what shares a batch.
        until: Share of the epochs after which the run stops, or `None` for
            all of them.

    Example:

    >>> plan = make_plan(Experiment("digits"), "lr", dataset)
    >>> plan.updates
    40

    Reference: `keras_lbreg.experiments.make_plan`.
    """

    arm: object
    recipe: object
    regime: Regime
    base_batch_size: int
    steps_per_epoch: int
    techniques: dict
    record_every: int
    placement: Placement = ONE_DEVICE
    until: float | None = None

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
    def last_epoch(self):
        """The recorded epoch after which the run stops."""
        if self.until is None:
            return self.epochs
        # 7 / 25 times 25 comes out a little above 7.
        records = self.until * self.epochs / self.record_every - 1e-9
        return max(1, math.ceil(records)) * self.record_every

    @property
    def samples(self):
        """Training samples until the run stops."""
        return self.last_epoch * self.steps_per_epoch * self.batch_size

    def hooks(self, kind):
        """Pairs of a hook of this kind and its hyperparameters."""
        return hooks(self.techniques, kind)

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
        """What the arm changes about the recipe, as lines of text."""
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
        if self.until is not None:
            lines.append(f"stops after epoch {self.last_epoch}")
        return lines

    def describe(self):
        """The arm as the manifest holds it; the numbers of the whole run."""
        stop = {} if self.until is None else {"until": self.last_epoch}
        return {
            "name": self.arm.name,
            "title": self.arm.title,
            "group": self.arm.group,
            "batch_size": self.batch_size,
            "learning_rate": self.regime.base_learning_rate,
            "milestones": [list(pair) for pair in self.regime.milestones],
            "epochs": self.epochs,
            "updates": self.updates,
            "record_every": self.record_every,
            "techniques": self.techniques,
            "changes": self.changes(),
            **stop,
        }


def make_plan(experiment, arm_name, dataset, placement=ONE_DEVICE):
    """Resolve what one arm of an experiment trains with.

    Args:
        experiment: The `Experiment`.
        arm_name: Name of the arm.
        dataset: The loaded `Dataset`.
        placement: The `Placement`.

    Returns:
        A `Plan`.

    Raises:
        ValueError: The sizes do not fit each other or the dataset, or a
            hyperparameter of the experiment is out of its range.

    Example:

    >>> make_plan(Experiment("digits"), "lr", dataset).batch_size
    512

    Reference: `Regime.scaled`.
    """
    arm = experiment.get_arm(arm_name)
    recipe = recipe_of(experiment, dataset)
    small = experiment.small_batch_size or recipe.small_batch_size
    large = experiment.batch_size or recipe.batch_size
    check_sizes(small, large, dataset, experiment.holdout)
    epochs = experiment.epochs or recipe.epochs
    techniques = {
        technique.name: technique.hyperparameters(
            {
                **recipe.hyperparameters.get(technique.name, {}),
                **experiment.hyperparameters.get(technique.name, {}),
                **arm.hyperparameters.get(technique.name, {}),
            }
        )
        for technique in TECHNIQUES
        if technique.name in arm.techniques
    }
    for settings in techniques.values():
        for key in ("ghost_batch_size", "groups"):
            if key in settings:
                check_positive_int(key, settings[key])
    batch_size = small if arm.batch == "small" else large
    check_divisible(batch_size, placement)
    check_samples(len(dataset.x_val), placement.replicas)
    context = Context(
        seed=0,
        base_batch_size=small,
        batch_size=batch_size,
        dreg_layer=recipe.dreg_layer,
    )
    given = experiment.hyperparameters.keys() | arm.hyperparameters.keys()
    for technique in TECHNIQUES:
        # What recipes and the register say is tested; what a user says is not.
        if technique.name in techniques.keys() & given:
            network = recipe.build_network(dataset)
            try_out(technique, techniques[technique.name], context, network)
    regime = scale_regime(
        base_regime(recipe, small, epochs),
        techniques,
        context,
        arm.learning_rate_factor,
        "control" if arm.group == "control" else None,
    )
    return Plan(
        arm=arm,
        recipe=recipe,
        regime=regime,
        base_batch_size=small,
        steps_per_epoch=training_samples(experiment, dataset) // batch_size,
        techniques=techniques,
        record_every=recording_interval(regime.epochs),
        placement=placement,
        until=experiment.until,
    )


def training_samples(experiment, dataset):
    """Number of training samples, with those that are held out."""
    held_out = len(dataset.x_val) if experiment.holdout else 0
    return len(dataset.x_train) + held_out


def base_regime(recipe, batch_size, epochs):
    """The small batch's regime; a short run may lose drops at its end."""
    milestones = {}
    for fraction, factor in recipe.milestones:
        epoch = round(fraction * epochs)
        if 0 < epoch < epochs:
            milestones[epoch] = recipe.learning_rate * factor
    return Regime(batch_size, recipe.learning_rate, epochs, milestones)


def recording_interval(epochs):
    """The largest divisor of `epochs` that leaves `CURVE_POINTS` points."""
    longest = max(1, epochs // CURVE_POINTS)
    return next(n for n in range(longest, 0, -1) if epochs % n == 0)


def check_sizes(small, large, dataset, holdout):
    if large <= small:
        raise ValueError(
            "Invalid value for argument `batch_size`. Expected more than the "
            f"small batch size, {small}. Received: batch_size={large}"
        )
    samples = len(dataset.x_train)
    if large > samples:
        rest = ""
        if holdout:
            rest = f" ({len(dataset.x_val)} others are held out)"
        raise ValueError(
            "Invalid value for argument `batch_size`. Expected at most the "
            f"number of training samples, {samples}{rest}. Received: "
            f"batch_size={large}"
        )


def check_divisible(batch_size, placement):
    if batch_size % placement.devices:
        raise ValueError(
            f"Invalid batch size. Expected a multiple of {placement.devices}, "
            "the number of devices that share every batch, so that each has "
            f"equally many samples. Received: {batch_size}. Choose another "
            "`batch_size` (for the reference, `small_batch_size`), fewer "
            "`devices`, or one of them (`--strategy one`)."
        )
