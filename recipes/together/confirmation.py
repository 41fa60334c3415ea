"""The comparison that judges what a screen has chosen."""

import dataclasses
import pathlib

from recipes.study.comparison import Comparison
from recipes.study.recorded import read_recorded
from recipes.together.choice import chosen

# Seeds that no screen has used.
FRESH_SEED = 1000


@dataclasses.dataclass(frozen=True)
class Confirmation(Comparison):
    """References, and what the screen has chosen, on seeds it has not seen.

    Until the screen has been run, the references are all there is. The same
    command adds the chosen arms later.

    Args:
        screen: Results folder of the screen.
        warmup_epochs: Epochs of warm-up where it is on.
    """

    screen: pathlib.Path | None = None
    warmup_epochs: float = 0

    def arm_objects(self, names=None):
        """The `Arm`s, with those that the screen has chosen."""
        picked = [one.arm(self.warmup_epochs) for one in self.picked()]
        arms = dict.fromkeys((*self.arms, *(arm.name for arm in picked)))
        extra = {arm.name: arm for arm in (*self.extra_arms, *picked)}
        known = Comparison(
            self.name,
            self.title,
            self.dataset,
            self.recipe,
            tuple(arms),
            tuple(extra.values()),
        )
        return known.arm_objects(names)

    def picked(self):
        """The `Combination`s that the screen has chosen."""
        if not (self.screen / "manifest.json").is_file():
            return []
        return chosen(read_recorded(self.screen))
