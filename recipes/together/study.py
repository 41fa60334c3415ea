"""The screens and confirmations, their tables and figures."""

import pathlib

from recipes.study.study import Study
from recipes.together.configuration import DIGITS_PAIR, F1_PAIR
from recipes.together.figures import FIGURES
from recipes.together.tables import TABLES

STUDY = Study(
    name="together",
    title="All techniques together, at equal epochs",
    folder=pathlib.Path(__file__).parent,
    comparisons=(*DIGITS_PAIR, *F1_PAIR),
    tables=TABLES,
    figures=FIGURES,
)
