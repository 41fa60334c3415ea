"""The comparisons, measurements, tables and figures of GradientMix."""

import pathlib

from recipes.gradient_mix_2023.configuration import (
    IMAGENET_COMPARISONS,
    MIX_COMPARISONS,
    RATE_COMPARISONS,
)
from recipes.gradient_mix_2023.figures import FIGURES
from recipes.gradient_mix_2023.tables import TABLES
from recipes.study.study import Measurement, Study


def covariance(settings, on_progress):
    from recipes.gradient_mix_2023.covariance import measure_covariance

    return measure_covariance(settings, on_progress)


def effective_batch(settings, on_progress):
    from recipes.gradient_mix_2023.effective_batch import (
        measure_effective_batch,
    )

    return measure_effective_batch(settings, on_progress)


STUDY = Study(
    name="gradient_mix_2023",
    title="GradientMix (ICLR 2023 submission), with Dirichlet weights",
    folder=pathlib.Path(__file__).parent,
    comparisons=(
        *RATE_COMPARISONS,
        *MIX_COMPARISONS,
        *IMAGENET_COMPARISONS,
    ),
    measurements=(
        Measurement(
            "covariance", "Noise of the mixed gradient, digits", covariance
        ),
        Measurement(
            "effective_batch", "Effective batch, digits", effective_batch
        ),
    ),
    tables=TABLES,
    figures=FIGURES,
)
