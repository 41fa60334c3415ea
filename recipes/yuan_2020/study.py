"""Yuan et al.'s figures, and how far the two kernels run."""

import pathlib

from recipes.study.study import Measurement, Study
from recipes.yuan_2020 import lagging_statistics, stability, tables
from recipes.yuan_2020.configuration import BATCHES, OTHERS
from recipes.yuan_2020.figures import ACCURACY_FIGURES
from recipes.yuan_2020.lagging_page import lagging_table
from recipes.yuan_2020.provenance import provenance
from recipes.yuan_2020.small import SMALL
from recipes.yuan_2020.stability_page import stability_figure, stability_table
from recipes.yuan_2020.survival import survival

STUDY = Study(
    name="yuan_2020",
    title="Yuan, Hua, Zhou, Yu 2020, Contrastive weight regularization (DReg)",
    folder=pathlib.Path(__file__).parent,
    comparisons=(*BATCHES, *OTHERS, *SMALL),
    measurements=(
        Measurement(
            "stability",
            "distance of the two kernels, step by step, digits (ours, small)",
            stability.measure,
            part="ours",
        ),
        Measurement(
            "lagging",
            "moving statistics behind growing kernels, digits (ours, small)",
            lagging_statistics.measure,
            part="ours",
        ),
    ),
    tables={
        "paper_batches": tables.paper_batches,
        "paper_others": tables.paper_others,
        "digits_batches": tables.digits_batches,
        "digits_gaps_to_control": tables.digits_gaps_to_control,
        "digits_epochs": tables.digits_epochs,
        "digits_others": tables.digits_others,
        "digits_momenta": tables.digits_momenta,
        "survival": survival,
        "stability": stability_table,
        "lagging": lagging_table,
        "provenance": provenance,
    },
    figures={**ACCURACY_FIGURES, "stability.png": stability_figure},
)
