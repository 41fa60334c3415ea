"""One combination of learning rate and techniques."""

import dataclasses
import itertools

from keras_lbreg import Arm

# From the square-root rule to the linear one; at 32 times the batch the rate
# is multiplied by 5.7, 11, 16 and 32.
RATES = {
    "sqrt": ("sqrt rule", {"rule": "sqrt"}, 1.0),
    "sqrt_x2": ("sqrt rule x2", {"rule": "sqrt"}, 2.0),
    "linear_half": ("linear rule x1/2", {"rule": "linear"}, 0.5),
    "linear": ("linear rule", {"rule": "linear"}, 1.0),
}

# What is on or off, by its short name: title and technique.
SWITCHES = {
    "warmup": ("warm-up", None),
    "gbn": ("GBN", "ghost_batch_norm"),
    "noise": ("noise", "gradient_noise"),
    "dreg": ("DReg", "dreg"),
    "mix": ("mix", "gradient_mix"),
}


@dataclasses.dataclass(frozen=True)
class Combination:
    """A learning rate and what is switched on.

    Args:
        rate: A name out of `RATES`.
        switches: Names out of `SWITCHES`, in their order.

    Example:

    >>> Combination("sqrt", ("gbn", "mix")).name
    'sqrt_gbn_mix'

    Reference: `all_combinations`.
    """

    rate: str
    switches: tuple = ()

    @property
    def name(self):
        """The name of its arm."""
        return "_".join((self.rate, *self.switches))

    @property
    def title(self):
        """How tables call it."""
        titles = (SWITCHES[switch][0] for switch in self.switches)
        return " + ".join((RATES[self.rate][0], *titles))

    def arm(self, warmup_epochs):
        """The `Arm`, with a warm-up of so many epochs where it has one."""
        _, rule, factor = RATES[self.rate]
        warm = "warmup" in self.switches
        techniques = [SWITCHES[switch][1] for switch in self.switches]
        return Arm(
            self.title,
            {
                "lr_scaling": {
                    **rule,
                    "warmup_epochs": warmup_epochs if warm else 0,
                },
                **{name: {} for name in techniques if name},
            },
            learning_rate_factor=factor,
            name=self.name,
            group="tuned",
            control="lr",
        )


def all_combinations():
    """The four rates with all subsets of the switches, 128."""
    subsets = (
        tuple(itertools.compress(SWITCHES, on))
        for on in itertools.product((False, True), repeat=len(SWITCHES))
    )
    return [Combination(rate, subset) for subset in subsets for rate in RATES]


# The columns of the design: two make the four rates.
COLUMNS = {"C": "gbn", "D": "warmup", "E": "noise", "F": "dreg", "G": "mix"}


def combination_of(run):
    """The `Combination` of one run of a design in the columns A to G.

    A and B are the rate: A doubles, B goes from one rule to the other.
    """
    rate = list(RATES)[(run["A"] > 0) + 2 * (run["B"] > 0)]
    on = {COLUMNS[letter] for letter in COLUMNS if run[letter] > 0}
    return Combination(rate, tuple(name for name in SWITCHES if name in on))
