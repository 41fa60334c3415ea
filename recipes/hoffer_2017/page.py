"""Hoffer et al.'s tables and figures."""

import pathlib

from recipes.hoffer_2017.configuration import (
    HABIT_COMPARISONS,
    LAG_COMPARISONS,
    ROWS,
)
from recipes.paper import Paper

PAPER = Paper(
    name="hoffer_2017",
    title="Hoffer, Hubara, Soudry 2017, Train longer, generalize better",
    folder=pathlib.Path(__file__).parent,
    comparisons=(*ROWS, *HABIT_COMPARISONS, *LAG_COMPARISONS),
)
