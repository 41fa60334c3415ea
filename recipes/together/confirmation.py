"""The comparison that judges what a screen has chosen."""

import dataclasses
import pathlib

from keras_lbreg.experiments import read_results
from recipes.study.comparison import Comparison
from recipes.together.choice import chosen

# The seeds of `lbreg tune`'s comparisons, which no screen has used.
FRESH_SEED = 1000


@dataclasses.dataclass(frozen=True)
class Confirmation(Comparison):
    """References, and what the screen has chosen, on seeds it has not seen.

    Until the screen has been run, the references are all there is. The same
    command adds the chosen arms later.

    Args:
        screen: Results folder of the screen.
        warmup_epochs: Epochs of warm-up where it is on.

    Example:

    >>> confirmation.experiment("runs/confirm").arms

    Reference: `recipes.together.choice` says how it is chosen.
    """

    screen: pathlib.Path | None = None
    warmup_epochs: float = 0

    def experiment(
        self, out_dir, seeds=None, first_seed=0, epochs=None, arms=None, *others
    ):
        """The `Experiment` that runs it, see `Comparison.experiment`."""
        picked = tuple(
            combination.arm(self.warmup_epochs) for combination in self.picked()
        )
        extra = {arm.name: arm for arm in (*self.extra_arms, *picked)}
        names = dict.fromkeys((*self.arms, *(arm.name for arm in picked)))
        complete = Comparison(
            **{
                field.name: getattr(self, field.name)
                for field in dataclasses.fields(Comparison)
            }
            | {"arms": tuple(names), "extra_arms": tuple(extra.values())}
        )
        return complete.experiment(
            out_dir, seeds, first_seed or FRESH_SEED, epochs, arms, *others
        )

    def picked(self):
        """The `Combination`s that the screen has chosen."""
        if not (self.screen / "manifest.json").is_file():
            return []
        return chosen(read_results(self.screen))
