"""The tables and figures of GradientMix."""

import pathlib

from recipes.gradient_mix_2023.configuration import (
    IMAGENET_COMPARISONS,
    MIX_COMPARISONS,
    RATE_COMPARISONS,
)
from recipes.paper import Paper

PAPER = Paper(
    name="gradient_mix_2023",
    title="GradientMix (ICLR 2023 submission), with Dirichlet weights",
    folder=pathlib.Path(__file__).parent,
    comparisons=(*RATE_COMPARISONS, *MIX_COMPARISONS, *IMAGENET_COMPARISONS),
)
