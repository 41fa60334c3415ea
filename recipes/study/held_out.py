"""A comparison that is judged by training data set apart."""

import dataclasses

from recipes.study.comparison import Comparison


@dataclasses.dataclass(frozen=True)
class HeldOutComparison(Comparison):
    """A comparison whose outcome decides something about others.

    What is chosen by its results has not seen the validation data, and has
    been chosen on seeds of its own.

    Args:
        holdout: Share of the training data set apart to validate on, see
            `keras_lbreg.experiments.Experiment`.
        own_seed: The first seed.

    Example:

    >>> HeldOutComparison("rates", "Rates", "digits", DIGITS, ("lr",))

    Reference: `keras_lbreg.data.hold_out`.
    """

    holdout: float = 0.2
    own_seed: int = 100

    def experiment(self, out_dir, seeds=None, first_seed=0, *others, **named):
        """The `Experiment` that runs it, see `Comparison.experiment`."""
        experiment = super().experiment(
            out_dir, seeds, first_seed or self.own_seed, *others, **named
        )
        return dataclasses.replace(experiment, holdout=self.holdout)
