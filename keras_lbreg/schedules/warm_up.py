"""Linear warm-up before any learning-rate schedule."""

import keras
from keras import ops

from keras_lbreg.checks import (
    check_fraction,
    check_positive_int,
    check_positive_number,
)

LearningRateSchedule = keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable(package="keras_lbreg")
class WarmUp(LearningRateSchedule):
    """Raises the learning rate linearly, update by update, to a schedule.

    With `s = steps` and `f = start`, the rate of update `t = 0, 1, ...` is

    ```
    rate(t) = schedule(t) * (f + (1 - f) * min(1, (t + 1) / s))
    ```

    so the first update takes the fraction `f + (1 - f) / s` of the schedule
    (`1 / s` by default, never zero), and update `s - 1` and all later ones
    take exactly `schedule(t)`. The schedule is not delayed: the warm-up lies
    over its first `s` updates, as in Goyal et al., whose milestones count
    from the first update too.

    Args:
        schedule: What to warm up to: a positive float, or a
            `keras.optimizers.schedules.LearningRateSchedule`.
        steps: Positive int. Number of updates the warm-up lasts. `1` is no
            warm-up.
        start: Float in `[0, 1)`. Fraction of the schedule that the line
            starts from. For batches `k` times larger under the linear rule,
            Goyal et al. start from the small batch's rate: `start = 1 / k`.
            Defaults to `0.0`.

    Raises:
        ValueError: An argument is of the wrong type or out of range.

    Example:

    >>> schedule = keras_lbreg.WarmUp(0.4, steps=4)
    >>> [round(float(schedule(step)), 2) for step in range(6)]
    [0.1, 0.2, 0.3, 0.4, 0.4, 0.4]
    >>> optimizer = keras.optimizers.SGD(schedule, momentum=0.9)

    Reference:

    - [Goyal et al., 2017](https://arxiv.org/abs/1706.02677)
    """

    def __init__(self, schedule, steps, start=0.0):
        super().__init__()
        if not isinstance(schedule, LearningRateSchedule):
            check_positive_number("schedule", schedule)
            schedule = float(schedule)
        check_positive_int("steps", steps)
        check_fraction("start", start)
        self.schedule = schedule
        # Python's own numbers, which JSON takes.
        self.steps = int(steps)
        self.start = float(start)

    def __call__(self, step):
        rate = self.schedule(step) if callable(self.schedule) else self.schedule
        rate = ops.convert_to_tensor(rate)
        done = ops.minimum((ops.cast(step, rate.dtype) + 1) / self.steps, 1)
        # Written as one minus what is missing, so that the factor is exactly
        # one after the warm-up, whatever `start` rounds to.
        return rate * (1 - (1 - self.start) * (1 - done))

    def get_config(self):
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "steps": self.steps,
            "start": self.start,
        }

    @classmethod
    def from_config(cls, config):
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(**{**config, "schedule": schedule})
