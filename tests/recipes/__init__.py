"""Tests of the recipes."""

import pathlib

import pytest

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"

recorded = pytest.mark.skipif(
    not (RECIPES / "hoffer_2017" / "results").is_dir(),
    reason="the records of runs are not in the sdist",
)
