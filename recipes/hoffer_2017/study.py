"""Hoffer et al.'s tables and figures."""

import pathlib

from recipes.hoffer_2017.configuration import HABIT_COMPARISONS, ROWS
from recipes.hoffer_2017.figures import FIGURES
from recipes.hoffer_2017.tables import TABLES
from recipes.study.study import Study

STUDY = Study(
    name="hoffer_2017",
    title="Hoffer, Hubara, Soudry 2017, Train longer, generalize better",
    folder=pathlib.Path(__file__).parent,
    comparisons=(*ROWS, *HABIT_COMPARISONS),
    tables=TABLES,
    figures=FIGURES,
)
