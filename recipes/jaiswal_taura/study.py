"""Jaiswal and Taura's table and figures, and how large their noise is."""

import functools
import pathlib

from recipes.jaiswal_taura import figures, noise_tables, provenance, tables
from recipes.jaiswal_taura.configuration import DIGITS, FAMILIES, PX64
from recipes.jaiswal_taura.interpolation import measure_interpolation
from recipes.jaiswal_taura.noise_size import POINTS, measure_noise_size
from recipes.study.study import Measurement, Study

TITLES = {
    "mnist": "F1, MNIST",
    **{name: family.title for name, family in FAMILIES.items()},
}
INTERPOLATIONS = tuple(
    Measurement(
        f"interpolation_{name}",
        f"{family.title}: the line between minima",
        functools.partial(measure_interpolation, family),
        part="Figure 6",
    )
    for name, family in FAMILIES.items()
)
NOISE_SIZES = tuple(
    Measurement(
        f"noise_size_{name}",
        f"{TITLES[name]}: the added noise beside the gradient's own",
        functools.partial(measure_noise_size, name),
        part="ours",
    )
    for name in POINTS
)
FIGURES = {
    "curves": figures.plot_curves,
    "updates": figures.plot_updates,
    "interpolation": figures.plot_interpolation,
    "alpha": figures.plot_alpha,
}

STUDY = Study(
    name="jaiswal_taura",
    title="Jaiswal and Taura, annealed gradient noise",
    folder=pathlib.Path(__file__).parent,
    comparisons=tuple(
        comparison
        for family in FAMILIES.values()
        for comparison in family.comparisons()
    ),
    measurements=(*INTERPOLATIONS, *NOISE_SIZES),
    tables={
        "table_2": tables.table_2,
        "px64": functools.partial(tables.small_table, family=PX64),
        "digits": functools.partial(tables.small_table, family=DIGITS),
        "alpha": tables.alpha_table,
        "interpolation": tables.interpolation_table,
        "noise_size": noise_tables.noise_size_table,
        "noise_statistics": noise_tables.noise_statistics_table,
        "runs": provenance.runs_table,
    },
    figures={
        f"{kind}_{name}.png": functools.partial(draw, family=family)
        for name, family in FAMILIES.items()
        for kind, draw in FIGURES.items()
    },
)
