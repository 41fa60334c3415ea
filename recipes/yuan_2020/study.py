"""Yuan et al.'s figures, and how far the two kernels run."""

import pathlib

from recipes.study.study import Measurement, Study
from recipes.yuan_2020.configuration import BATCHES, OTHERS
from recipes.yuan_2020.small import SMALL
from recipes.yuan_2020.stability import measure

STUDY = Study(
    name="yuan_2020",
    title="Yuan, Hua, Zhou, Yu 2020, Contrastive weight regularization (DReg)",
    folder=pathlib.Path(__file__).parent,
    comparisons=(*BATCHES, *OTHERS, *SMALL),
    measurements=(
        Measurement(
            "stability",
            "distance of the two kernels, step by step, digits (ours, small)",
            measure,
            part="none",
        ),
    ),
)
