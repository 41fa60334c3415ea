"""All recipes."""

import importlib

NAMES = (
    "gradient_mix_2023",
    "hoffer_2017",
    "jaiswal_taura",
    "together",
    "yuan_2020",
)
STUDIES = [importlib.import_module(f"recipes.{n}.study").STUDY for n in NAMES]


def study_of(name):
    """The `Study` of a recipe."""
    return STUDIES[NAMES.index(name)]
