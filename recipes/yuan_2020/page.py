"""Yuan et al.'s tables and figures."""

import pathlib

from recipes.paper import Paper
from recipes.yuan_2020.configuration import (
    DIGITS_BATCHES,
    DIGITS_MOMENTA,
    DIGITS_OTHERS,
    PUBLISHED,
    SCALE,
)

PAPER = Paper(
    name="yuan_2020",
    title="Yuan, Hua, Zhou, Yu 2020, Contrastive weight regularization (DReg)",
    folder=pathlib.Path(__file__).parent,
    comparisons=(
        SCALE,
        *DIGITS_BATCHES,
        *DIGITS_OTHERS,
        *DIGITS_MOMENTA,
        *PUBLISHED,
    ),
)
