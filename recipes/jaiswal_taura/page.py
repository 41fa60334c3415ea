"""Jaiswal and Taura's tables and figures."""

import pathlib

from recipes.jaiswal_taura.configuration import FAMILIES
from recipes.paper import Paper

PAPER = Paper(
    name="jaiswal_taura",
    title="Jaiswal and Taura, annealed gradient noise",
    folder=pathlib.Path(__file__).parent,
    comparisons=tuple(
        comparison
        for family in FAMILIES.values()
        for comparison in family.comparisons()
    ),
)
