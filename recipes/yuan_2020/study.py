"""Yuan et al.'s figures, and how far the two kernels run."""

import pathlib

from recipes.study.study import Study
from recipes.yuan_2020.configuration import BATCHES, OTHERS
from recipes.yuan_2020.small import SMALL

STUDY = Study(
    name="yuan_2020",
    title="Yuan, Hua, Zhou, Yu 2020, Contrastive weight regularization (DReg)",
    folder=pathlib.Path(__file__).parent,
    comparisons=(*BATCHES, *OTHERS, *SMALL),
)
