"""The tables and figures of the screens and confirmations."""

import pathlib

from recipes.paper import Paper
from recipes.together.configuration import DIGITS_PAIR, F1_PAIR

PAPER = Paper(
    name="together",
    title="All techniques together, at equal epochs",
    folder=pathlib.Path(__file__).parent,
    comparisons=(*DIGITS_PAIR, *F1_PAIR),
)
