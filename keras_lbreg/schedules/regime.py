"""Learning rate and length of a training run, as a table by epoch."""

import bisect
import dataclasses

import keras

from keras_lbreg.checks import (
    check_fraction,
    check_positive_int,
    check_positive_number,
)
from keras_lbreg.schedules.scaled_regime import scaled_regime
from keras_lbreg.schedules.warm_up import WarmUp


@keras.saving.register_keras_serializable(package="keras_lbreg")
@dataclasses.dataclass(frozen=True)
class Regime:
    """A training regime: the learning rate by epoch, at one batch size.

    A regime is the table a paper prints ("0.1, from epoch 10 on 0.01, 50
    epochs in all, at batch 128"). `scaled` makes the regime for another batch
    size `B_L` out of the one for `B_S`:

    ```
    learning rates   times sqrt(B_L / B_S), or B_L / B_S      (rule)
    periods          E epochs become E * B_L / B_S epochs     (stretch)
    ```

    Stretching is Hoffer et al.'s regime adaptation: the large batch then gets
    as many updates as the small one, before each drop of the learning rate
    and in all. Every call of `scaled` prints what it changed.

    Momentum, weight decay and clipping do not depend on the batch size and
    stay with the optimizer.

    Args:
        base_batch_size: Positive int. The batch size the rates hold for.
        base_learning_rate: Positive float. The learning rate at epoch 0.
        epochs: Positive int. Length of the run.
        milestones: Dictionary or sequence of pairs `epoch: learning rate`,
            the epoch counted from 0 and increasing: from the start of this
            epoch on the rate is the given one. It may lie beyond the end, as
            in some papers' scripts. Kept as a tuple of pairs. For "times 0.1
            at these epochs" see `Regime.with_decay`. Defaults to `()`, a
            constant rate.
        warmup_epochs: Number of epochs, at least 0, of linear warm-up, update
            by update, over the beginning of the table. Defaults to `0`.
        warmup_start: Float in `[0, 1)`. Fraction of the learning rate that
            the warm-up starts from; see `keras_lbreg.WarmUp`. Defaults to
            `0.0`.
        changes: Sequence of strings, what `scaled` has changed on the way to
            this regime, as `summary` prints it. Set by `scaled`.

    Raises:
        ValueError: A number is out of range, the milestones do not increase
            or stretching would leave a period without an epoch.

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
    """

    base_batch_size: int
    base_learning_rate: float
    epochs: int
    milestones: tuple = ()
    warmup_epochs: float = 0
    warmup_start: float = 0.0
    changes: tuple = ()

    def __post_init__(self):
        check_positive_int("base_batch_size", self.base_batch_size)
        check_positive_number("base_learning_rate", self.base_learning_rate)
        check_positive_int("epochs", self.epochs)
        if self.warmup_epochs != 0:
            check_positive_number("warmup_epochs", self.warmup_epochs)
        check_fraction("warmup_start", self.warmup_start)
        milestones = self.milestones
        if isinstance(milestones, dict):
            milestones = milestones.items()
        milestones = tuple((epoch, rate) for epoch, rate in milestones)
        check_milestones(milestones)
        # Python's own numbers, which JSON takes.
        normal = {
            "base_batch_size": int(self.base_batch_size),
            "base_learning_rate": float(self.base_learning_rate),
            "epochs": int(self.epochs),
            "milestones": tuple((int(e), float(r)) for e, r in milestones),
            "changes": tuple(self.changes),
        }
        for name, value in normal.items():
            object.__setattr__(self, name, value)

    @classmethod
    def with_decay(
        cls,
        base_batch_size,
        base_learning_rate,
        epochs,
        decay,
        at,
        then_every=None,
    ):
        """The regime whose rate is multiplied by `decay` at given epochs.

        Args:
            base_batch_size: As in the class.
            base_learning_rate: As in the class.
            epochs: As in the class.
            decay: Positive float. What each milestone multiplies the rate by.
            at: Increasing epochs of the milestones.
            then_every: Optional positive int. After the last of `at`, one
                more milestone every so many epochs until the run ends.

        Returns:
            A `Regime`.

        Example:

        >>> caltech = keras_lbreg.Regime.with_decay(
        ...     32, 0.01, epochs=70, decay=0.1, at=(25, 40), then_every=10
        ... )
        >>> [epoch for epoch, _ in caltech.milestones]
        [25, 40, 50, 60]
        """
        check_positive_number("decay", decay)
        check_positive_int("epochs", epochs)
        at = list(at)
        if then_every is not None:
            check_positive_int("then_every", then_every)
            at += range((at[-1] if at else 0) + then_every, epochs, then_every)
        milestones = [
            (epoch, base_learning_rate * decay**drops)
            for drops, epoch in enumerate(at, start=1)
        ]
        return cls(base_batch_size, base_learning_rate, epochs, milestones)

    def scaled(
        self,
        batch_size,
        rule="sqrt",
        warmup_epochs=None,
        stretch=False,
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
            verbose: Whether to print the new regime's `summary()`.

        Returns:
            A new `Regime` whose attributes hold for `batch_size`.
        """
        regime = scaled_regime(self, batch_size, rule, warmup_epochs, stretch)
        if verbose:
            print(regime.summary())
        return regime

    def learning_rate_at(self, epoch):
        """The learning rate of an epoch, counted from 0, without warm-up."""
        if epoch < 0:
            raise ValueError(
                "Invalid value for argument `epoch`. Expected an epoch "
                f"counted from 0. Received: epoch={epoch}"
            )
        passed = bisect.bisect_right([e for e, _ in self.milestones], epoch)
        return [self.base_learning_rate, *(r for _, r in self.milestones)][
            passed
        ]

    def updates(self, samples):
        """Number of updates of the whole run on `samples` samples.

        A last batch that is not full counts as an update.
        """
        check_positive_int("samples", samples)
        return self.epochs * -(-samples // self.base_batch_size)

    def to_schedule(self, steps_per_epoch):
        """The regime as a learning-rate schedule over updates.

        Args:
            steps_per_epoch: Positive int. Updates in one epoch.

        Returns:
            A `keras.optimizers.schedules.LearningRateSchedule`.
        """
        check_positive_int("steps_per_epoch", steps_per_epoch)
        # A constant rate is a table of two equal rows: Keras's schedule needs
        # at least one boundary.
        milestones = self.milestones or ((1, self.base_learning_rate),)
        schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
            # Keras changes the value after the boundary step.
            [epoch * steps_per_epoch - 1 for epoch, _ in milestones],
            [self.base_learning_rate, *(rate for _, rate in milestones)],
        )
        warmup_steps = round(self.warmup_epochs * steps_per_epoch)
        if warmup_steps:
            schedule = WarmUp(schedule, warmup_steps, self.warmup_start)
        return schedule

    def summary(self):
        """What was scaled, and the table, as text of several lines."""
        lines = list(self.changes)
        for epoch, rate in ((0, self.base_learning_rate), *self.milestones):
            reached = "" if epoch < self.epochs else " (not reached)"
            lines.append(
                f"from epoch {epoch}: learning rate {rate:.4g}{reached}"
            )
        lines.append(f"until epoch {self.epochs}")
        return "\n".join(lines)

    def get_config(self):
        # Lists, as they come back from JSON.
        return {
            **dataclasses.asdict(self),
            "milestones": [list(pair) for pair in self.milestones],
            "changes": list(self.changes),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def check_milestones(milestones):
    previous = 0
    for epoch, rate in milestones:
        check_positive_int("milestones", epoch)
        check_positive_number("milestones", rate)
        if epoch <= previous:
            raise ValueError(
                "Invalid value for argument `milestones`. Expected epochs "
                f"that increase. Received: milestones={milestones}"
            )
        previous = epoch
