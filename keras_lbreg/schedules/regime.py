"""Learning rate by epoch and length of a training run."""

import bisect
import dataclasses
import json
import math

import keras

from keras_lbreg.checks import (
    check_choice,
    check_fraction,
    check_non_negative_number,
    check_positive_int,
    check_positive_number,
    invalid,
)
from keras_lbreg.schedules.scale_learning_rate import scale_learning_rate
from keras_lbreg.schedules.warm_up import WarmUp

LearningRateSchedule = keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable(package="keras_lbreg")
@dataclasses.dataclass(frozen=True, eq=False)
class Regime:
    """A training regime: the learning rate by epoch, at one batch size.

    The learning rate `eta(e)` of epoch `e` of `E` is constant, a table as
    papers print it ("0.1, from epoch 10 on 0.01"), or falls from update to
    update to the fraction `f = final_fraction`:

    ```
    milestones          eta(e) = rate of the last milestone <= e
    decay="linear"      eta(e) = eta (f + (1 - f) (1 - e / E))
    decay="cosine"      eta(e) = eta (f + (1 - f) (1 + cos(pi e / E)) / 2)
    a Keras schedule    eta(e) = schedule(number of updates)
    ```

    `scaled` makes the regime for another batch size `B_L` out of the one for
    `B_S`:

    ```
    learning rates   times sqrt(B_L / B_S), or B_L / B_S      (rule)
    periods          E epochs become E * B_L / B_S epochs     (stretch)
    ```

    Stretching is Hoffer et al.'s regime adaptation: the large batch then gets
    as many updates as the small one, before each drop of the learning rate
    and in all. Momentum, weight decay and clipping do not depend on the batch
    size and stay with the optimizer.

    Args:
        base_batch_size: Positive int. The batch size the rates hold for.
        base_learning_rate: Positive float, the learning rate at epoch 0, or a
            `keras.optimizers.schedules.LearningRateSchedule` over the updates
            of the run at `base_batch_size`.
        epochs: Positive int. Length of the run.
        milestones: Dictionary or sequence of pairs `epoch: learning rate`:
            from the start of this epoch, counted from 0 and increasing, the
            rate is the given one. It may lie beyond the end, as in some papers'
            scripts. For "times 0.1 at these epochs" see
            `Regime.with_step_decay`. Defaults to `()`.
        decay: `"cosine"`, `"linear"` or `None`. Excludes `milestones`.
            Defaults to `None`.
        final_fraction: Float in `[0, 1)`, what `decay` ends at, as a fraction
            of the first rate. Defaults to `0.0`.
        warmup_epochs: Number of epochs, at least 0, of linear warm-up over the
            beginning of the run. Defaults to `0`.
        warmup_start: Float in `[0, 1)`. Fraction of the learning rate that
            the warm-up starts from (see `keras_lbreg.WarmUp`). Defaults to
            `0.0`.
        changes: Sequence of strings that `summary` prints. Set by `scaled`.

    Raises:
        ValueError: A number is out of range, the milestones do not increase,
            there are two kinds of decay, or stretching would leave a period
            without an epoch.

    Example:

    >>> regime = keras_lbreg.Regime(
    ...     base_batch_size=128,
    ...     base_learning_rate=0.1,
    ...     epochs=50,
    ...     milestones={10: 0.01, 20: 0.001, 30: 0.0001},
    ... )
    >>> large = regime.scaled(2048, rule="sqrt", stretch=True)
    batch size 128 -> 2048 (x16)
    learning rate 0.1 -> 0.4 (sqrt rule, x4)
    epochs 50 -> 800 (regime adaptation, x16)
    from epoch 0: learning rate 0.4
    from epoch 160: learning rate 0.04
    from epoch 320: learning rate 0.004
    from epoch 480: learning rate 0.0004
    until epoch 800
    >>> optimizer = keras.optimizers.SGD(
    ...     large.to_schedule(steps_per_epoch=30), momentum=0.9
    ... )

    Reference:

    - [Hoffer et al., 2017](https://arxiv.org/abs/1705.08741)
    - [Loshchilov and Hutter, 2017](https://arxiv.org/abs/1608.03983), cosine
    """

    base_batch_size: int
    base_learning_rate: float
    epochs: int
    milestones: tuple = ()
    decay: str | None = None
    final_fraction: float = 0.0
    warmup_epochs: float = 0
    warmup_start: float = 0.0
    changes: tuple = ()

    def __post_init__(self):
        check_positive_int("base_batch_size", self.base_batch_size)
        check_positive_int("epochs", self.epochs)
        check_non_negative_number("warmup_epochs", self.warmup_epochs)
        check_fraction("warmup_start", self.warmup_start)
        check_fraction("final_fraction", self.final_fraction)
        check_choice("decay", self.decay, ("cosine", "linear", None))
        milestones = self.milestones
        if isinstance(milestones, dict):
            milestones = milestones.items()
        milestones = tuple((epoch, rate) for epoch, rate in milestones)
        for epoch, rate in milestones:
            check_positive_int("milestones", epoch)
            check_positive_number("milestones", rate)
        starts = [epoch for epoch, _ in milestones]
        if starts != sorted(set(starts)):
            raise invalid("milestones", "epochs that increase", milestones)
        rate = self.base_learning_rate
        is_schedule = isinstance(rate, LearningRateSchedule)
        if not is_schedule:
            check_positive_number("base_learning_rate", rate)
            rate = float(rate)
        if bool(milestones) + (self.decay is not None) + is_schedule > 1:
            raise ValueError(
                "Invalid value for argument `milestones`. Expected one of: "
                "milestones, a decay, a schedule as `base_learning_rate`. "
                f"Received: milestones={milestones}, decay={self.decay!r}, "
                f"base_learning_rate={self.base_learning_rate}"
            )
        warmup = self.warmup_epochs
        # Python's own numbers, which JSON takes.
        normal = {
            "base_batch_size": int(self.base_batch_size),
            "base_learning_rate": rate,
            "epochs": int(self.epochs),
            "milestones": tuple((int(e), float(r)) for e, r in milestones),
            "final_fraction": float(self.final_fraction),
            "warmup_epochs": int(warmup) if warmup % 1 == 0 else float(warmup),
            "warmup_start": float(self.warmup_start),
            "changes": tuple(self.changes),
        }
        for name, value in normal.items():
            object.__setattr__(self, name, value)

    @classmethod
    def with_step_decay(
        cls,
        base_batch_size,
        base_learning_rate,
        epochs,
        factor,
        at,
        then_every=None,
    ):
        """The regime whose rate is multiplied by `factor` at given epochs.

        Args:
            base_batch_size, base_learning_rate, epochs: As in the class.
            factor: Positive float. What each milestone multiplies the rate by.
            at: Increasing epochs of the milestones.
            then_every: Optional positive int. After the last of `at`, one
                more milestone every so many epochs until the run ends.

        Example:

        >>> caltech = keras_lbreg.Regime.with_step_decay(
        ...     32, 0.01, epochs=70, factor=0.1, at=(25, 40), then_every=10
        ... )
        >>> [epoch for epoch, _ in caltech.milestones]
        [25, 40, 50, 60]
        """
        check_positive_number("factor", factor)
        check_positive_number("base_learning_rate", base_learning_rate)
        check_positive_int("epochs", epochs)
        at = list(at)
        if then_every is not None:
            check_positive_int("then_every", then_every)
            at += range((at[-1] if at else 0) + then_every, epochs, then_every)
        milestones = [
            (epoch, base_learning_rate * factor**drops)
            for drops, epoch in enumerate(at, start=1)
        ]
        return cls(base_batch_size, base_learning_rate, epochs, milestones)

    @classmethod
    def from_model(cls, model, batch_size, epochs):
        """The regime that a compiled model is trained by.

        Args:
            model: A compiled `keras.Model` whose learning rate is a number, or
                a schedule of Keras's over the updates of the run.
            batch_size: Positive int. The batch size it is trained with.
            epochs: Positive int. Length of the run.

        Example:

        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.Adam(1e-3), "mse")
        >>> keras_lbreg.Regime.from_model(model, 64, epochs=20).epochs
        20
        """
        optimizer = getattr(model, "optimizer", None)
        if optimizer is None:
            raise invalid("model", "a compiled model", model)
        while hasattr(optimizer, "inner_optimizer"):
            optimizer = optimizer.inner_optimizer
        rate = getattr(optimizer, "_learning_rate", None)
        if not isinstance(rate, LearningRateSchedule):
            if callable(rate):
                raise ValueError(
                    "Invalid value for argument `model`. Expected an optimizer "
                    "whose learning rate is a number or a "
                    "`keras.optimizers.schedules.LearningRateSchedule`. "
                    f"Received: learning_rate={rate!r}"
                )
            rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
            # Keras keeps it as a float32: 0.1, not 0.10000000149.
            rate = float(f"{rate:.7g}")
        return cls(batch_size, rate, epochs)

    def with_epochs(self, epochs):
        """The same regime over another number of epochs.

        Milestones keep their fraction of the run, rounded to an epoch; those
        that fall together or out of the run are left out. Warm-up keeps its
        fraction, too. A schedule of Keras's is traversed as fast as makes it
        end at the same value.
        """
        check_positive_int("epochs", epochs)
        if epochs == self.epochs:
            return self
        factor = epochs / self.epochs
        end = epochs if epochs < self.epochs else math.inf
        milestones = {}
        for epoch, rate in self.milestones:
            # Halves down, as `round` of the fraction of a run would.
            epoch = round(epoch * factor)
            if 0 < epoch < end:
                milestones[epoch] = rate
        rate = self.base_learning_rate
        if self.has_schedule:
            rate = StretchedSchedule.of(rate, speed=1 / factor)
        return dataclasses.replace(
            self,
            base_learning_rate=rate,
            epochs=epochs,
            milestones=milestones,
            warmup_epochs=self.warmup_epochs * factor,
        )

    def scaled(
        self,
        batch_size,
        rule="sqrt",
        warmup_epochs=None,
        stretch=False,
        final_fraction=None,
        verbose=True,
    ):
        """The regime for another batch size.

        Args:
            batch_size: Positive int. The batch size to train with.
            rule: `"sqrt"`, `"linear"` (see
                `keras_lbreg.scale_learning_rate`), or `None` to keep the
                learning rates.
            warmup_epochs: Number of epochs of linear warm-up, counted in the
                epochs of the new regime. It starts from the learning rate
                before scaling, as in Goyal et al., or from zero if scaling
                did not raise the rate. `None` keeps the regime's own.
            stretch: Whether every period of `E` epochs becomes
                `E * batch_size / base_batch_size` epochs. Ends of periods are
                rounded to the nearest epoch, halves up, each from the start
                of the run, so that the errors do not add up.
            final_fraction: Optional float in [0, 1], the fraction of the
                learning rate at which a decay ends. A constant rate decays
                linearly then. `None` keeps the regime's own.
            verbose: Whether to print the new regime's `summary()`.
        """
        check_positive_int("batch_size", batch_size)
        if final_fraction is not None:
            return self.ending_at(final_fraction).scaled(
                batch_size, rule, warmup_epochs, stretch, verbose=verbose
            )
        base = self.base_batch_size
        changes = list(self.changes)
        if batch_size != base:
            changes.append(
                f"batch size {base} -> {batch_size} (x{batch_size / base:.4g})"
            )
        factor = 1.0
        if rule is not None:
            factor = scale_learning_rate(1.0, base, batch_size, rule)
        regime = self.with_rates_times(factor)
        if factor != 1:
            changes.append(
                f"learning rate {self.rate_text} -> {regime.rate_text} "
                f"({rule} rule, x{factor:.4g})"
            )
        epochs, milestones = regime.epochs, regime.milestones
        if stretch:
            epochs = stretched_epoch(epochs, base, batch_size)
            milestones = [
                (stretched_epoch(epoch, base, batch_size), rate)
                for epoch, rate in milestones
            ]
            starts = [0, *(epoch for epoch, _ in milestones)]
            if epochs < 1 or len(set(starts)) < len(starts):
                raise ValueError(
                    "Invalid value for argument `batch_size`. With "
                    "`stretch=True` every period of the regime must keep at "
                    f"least one epoch. Received: batch_size={batch_size} for "
                    f"base_batch_size={base}, which lets periods start at "
                    f"epochs {starts} of {epochs}. Choose a larger batch, or "
                    "merge short periods of the regime."
                )
        if epochs != self.epochs:
            changes.append(
                f"epochs {self.epochs} -> {epochs} "
                f"(regime adaptation, x{batch_size / base:.4g})"
            )
        warmup_start = self.warmup_start
        if warmup_epochs is None:
            warmup_epochs = self.warmup_epochs
        elif warmup_epochs:
            warmup_start = 1 / factor if factor > 1 else 0.0
            start = "zero"
            if warmup_start and not regime.has_schedule:
                start = f"{warmup_start * regime.base_learning_rate:.4g}"
            elif warmup_start:
                start = f"times {warmup_start:.4g}"
            changes.append(
                f"warm-up over {warmup_epochs:g} epochs from learning rate "
                f"{start}"
            )
        elif self.warmup_epochs:
            changes.append("no warm-up any more")
        rate = regime.base_learning_rate
        if self.has_schedule:
            # The same rate after the same part of the run.
            speed = batch_size / base * (self.epochs / epochs)
            rate = StretchedSchedule.of(rate, speed=speed)
        regime = dataclasses.replace(
            regime,
            base_batch_size=batch_size,
            base_learning_rate=rate,
            epochs=epochs,
            milestones=milestones,
            warmup_epochs=warmup_epochs,
            warmup_start=warmup_start,
            changes=changes,
        )
        if verbose:
            print(regime.summary())
        return regime

    @property
    def can_end_lower(self):
        """Whether the rate is constant, or decays in one piece."""
        return not self.milestones and not self.has_schedule

    def ending_at(self, final_fraction):
        """The same regime with another final learning rate."""
        if not self.can_end_lower:
            raise invalid(
                "final_fraction",
                "None: the regime's learning rate has milestones or is a "
                "schedule",
                final_fraction,
            )
        decay = self.decay or "linear"
        change = f"{decay} decay to {final_fraction:g} of the learning rate"
        return dataclasses.replace(
            self,
            decay=decay,
            final_fraction=final_fraction,
            changes=(*self.changes, change),
        )

    def with_rates_times(self, factor):
        """The same regime with every learning rate multiplied."""
        check_positive_number("factor", factor)
        if factor == 1:
            return self
        rate = self.base_learning_rate
        if self.has_schedule:
            rate = StretchedSchedule.of(rate, factor=factor)
        else:
            rate = rate * factor
        return dataclasses.replace(
            self,
            base_learning_rate=rate,
            milestones=[(e, r * factor) for e, r in self.milestones],
        )

    def learning_rate_at(self, epoch, steps_per_epoch=None):
        """The learning rate of an epoch, counted from 0, without warm-up.

        Args:
            epoch: Number, at least 0. With `decay`, the rate at the beginning
                of the epoch; it may be a fraction.
            steps_per_epoch: Updates in one epoch, needed where the learning
                rate is a schedule.
        """
        if epoch < 0:
            raise invalid("epoch", "an epoch counted from 0", epoch)
        if self.has_schedule:
            check_positive_int("steps_per_epoch", steps_per_epoch)
            step = int(epoch * steps_per_epoch)
            return float(
                keras.ops.convert_to_numpy(self.base_learning_rate(step))
            )
        if self.decay is not None:
            part = min(epoch / self.epochs, 1.0)
            left = 1 - part
            if self.decay == "cosine":
                left = (1 + math.cos(math.pi * part)) / 2
            fraction = self.final_fraction
            factor = fraction + (1 - fraction) * left
            return self.base_learning_rate * factor
        passed = bisect.bisect_right([e for e, _ in self.milestones], epoch)
        rates = [self.base_learning_rate, *(r for _, r in self.milestones)]
        return rates[passed]

    def updates(self, samples):
        """Number of updates of the whole run on `samples` samples.

        A last batch that is not full counts as an update.
        """
        check_positive_int("samples", samples)
        return self.epochs * -(-samples // self.base_batch_size)

    def to_schedule(self, steps_per_epoch):
        """The regime as a Keras learning-rate schedule over updates."""
        check_positive_int("steps_per_epoch", steps_per_epoch)
        schedules = keras.optimizers.schedules
        rate = self.base_learning_rate
        steps = self.epochs * steps_per_epoch
        if self.has_schedule:
            schedule = rate
        elif self.decay == "cosine":
            schedule = schedules.CosineDecay(
                rate, steps, alpha=self.final_fraction
            )
        elif self.decay == "linear":
            schedule = schedules.PolynomialDecay(
                rate, steps, end_learning_rate=rate * self.final_fraction
            )
        else:
            # A constant rate is a table of two equal rows: Keras's schedule
            # needs at least one boundary.
            milestones = self.milestones or ((1, rate),)
            schedule = schedules.PiecewiseConstantDecay(
                # Keras changes the value after the boundary step.
                [epoch * steps_per_epoch - 1 for epoch, _ in milestones],
                [rate, *(r for _, r in milestones)],
            )
        warmup_steps = round(self.warmup_epochs * steps_per_epoch)
        if warmup_steps:
            schedule = WarmUp(schedule, warmup_steps, self.warmup_start)
        return schedule

    def summary(self):
        """What was scaled, and the learning rates, as text of several lines."""
        lines = list(self.changes)
        lines.append(f"from epoch 0: learning rate {self.rate_text}")
        if self.decay is not None:
            final = self.base_learning_rate * self.final_fraction
            lines[-1] += f", {self.decay} decay to {final:.4g}"
        for epoch, rate in self.milestones:
            reached = "" if epoch < self.epochs else " (not reached)"
            lines.append(
                f"from epoch {epoch}: learning rate {rate:.4g}{reached}"
            )
        lines.append(f"until epoch {self.epochs}")
        return "\n".join(lines)

    def get_config(self):
        config = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self)
        }
        # Lists, as they come back from JSON.
        return {
            **config,
            "base_learning_rate": keras.saving.serialize_keras_object(
                self.base_learning_rate
            ),
            "milestones": [list(pair) for pair in self.milestones],
            "changes": list(self.changes),
        }

    @classmethod
    def from_config(cls, config):
        rate = keras.saving.deserialize_keras_object(
            config["base_learning_rate"]
        )
        return cls(**{**config, "base_learning_rate": rate})

    def __eq__(self, other):
        if not isinstance(other, Regime):
            return NotImplemented
        return self.get_config() == other.get_config()

    def __hash__(self):
        return hash(json.dumps(self.get_config(), sort_keys=True))

    @property
    def has_schedule(self):
        """Whether the learning rate is a schedule over updates."""
        return isinstance(self.base_learning_rate, LearningRateSchedule)

    @property
    def rate_text(self):
        """The first learning rate in words."""
        if not self.has_schedule:
            return f"{self.base_learning_rate:.4g}"
        schedule, factor = self.base_learning_rate, ""
        if isinstance(schedule, StretchedSchedule):
            factor = f"{schedule.factor:.4g} x "
            schedule = schedule.schedule
        return f"{factor}{type(schedule).__name__}"


@keras.saving.register_keras_serializable(package="keras_lbreg")
class StretchedSchedule(LearningRateSchedule):
    """`factor * schedule(speed * step)`, of a regime that was scaled."""

    def __init__(self, schedule, factor=1.0, speed=1.0):
        super().__init__()
        self.schedule = schedule
        self.factor = factor
        self.speed = speed

    @classmethod
    def of(cls, schedule, factor=1.0, speed=1.0):
        """The same, in place of a stretched schedule in another one."""
        if isinstance(schedule, cls):
            factor, speed = factor * schedule.factor, speed * schedule.speed
            schedule = schedule.schedule
        return cls(schedule, factor, speed)

    def __call__(self, step):
        step = keras.ops.cast(step, "float32") * self.speed
        return self.schedule(step) * self.factor

    def get_config(self):
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "factor": self.factor,
            "speed": self.speed,
        }

    @classmethod
    def from_config(cls, config):
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["factor"], config["speed"])


def stretched_epoch(epoch, base, batch_size):
    """`epoch * batch_size / base`, rounded to an integer, halves up."""
    # An exact half does not depend on how a ratio of floats is rounded.
    return (2 * epoch * batch_size + base) // (2 * base)
