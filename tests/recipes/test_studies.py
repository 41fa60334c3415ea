"""Every recipe has the shape that recipes/README.md describes."""

import importlib
import pathlib
import re

import pytest

from keras_lbreg.experiments import read_results
from recipes.study.page import render_page
from recipes.study.study import Measurement

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"
STUDIES = [
    importlib.import_module(f"recipes.{path.parent.name}.study").STUDY
    for path in sorted(RECIPES.glob("*/study.py"))
    if path.parent.name != "study"
]
LARGEST_FILE = 1_000_000


@pytest.fixture(params=STUDIES, ids=lambda study: study.name)
def study(request):
    return request.param


def readme(study):
    return (study.folder / "README.md").read_text("utf-8")


def test_recipes_page_lists_every_recipe():
    page = (RECIPES / "README.md").read_text("utf-8")
    for study in STUDIES:
        assert f"({study.name}/README.md)" in page


def test_tables_are_those_of_the_results(study):
    assert render_page(study) == readme(study), (
        f"run `python -m recipes.{study.name} pages`"
    )


def test_figures_stand_in_the_page(study):
    for name, draw in study.figures.items():
        drawn = draw(study) is not None
        assert (study.folder / "figures" / name).is_file() == drawn
        assert (f"(figures/{name})" in readme(study)) == drawn


def test_commands_of_the_page_exist(study):
    # Not what stands for several names, as `fig{2,3}_batch_SIZE` does.
    pattern = rf"python -m recipes\.{study.name} run ([\w ]++)(?!\{{)"
    for words in re.findall(pattern, readme(study)):
        for name in words.split():
            assert name == "all" or name in study.names()


def test_names_are_unique_and_titles_said(study):
    assert len(set(study.names())) == len(study.names())
    for part in (*study.comparisons, *study.measurements):
        assert part.name.isidentifier()
        assert part.title


def test_results_are_small_and_whole(study):
    known = {study.path(name).name for name in study.names()}
    for folder in (study.folder / "results").glob("*/"):
        name = re.sub(r"-\d+-epochs$", "", folder.name)
        assert name in known
        for file in folder.rglob("*"):
            # A run may be going on; its checkpoint is no result.
            if file.name != "checkpoint.npz":
                assert file.stat().st_size < LARGEST_FILE
        if isinstance(study.get(name), Measurement):
            assert study.measured(name)["measured"]
        else:
            assert read_results(folder).runs


def test_results_are_those_of_the_configuration(study):
    """A recipe that was changed has to be run again."""
    for comparison in study.comparisons:
        results = study.results(comparison.name)
        if results is None:
            continue
        config = results.manifest["config"]
        for key, value in comparison.recipe.describe().items():
            # JSON's numbers and lists.
            assert config[key] == value or list(config[key]) == value, key
        assert config["batch_size"] == (
            comparison.batch_size or comparison.recipe.batch_size
        )
        arms = [arm["name"] for arm in results.arms]
        # Which arms a confirmation has depends on what was screened.
        assert set(arms) <= set(comparison.experiment("unused").arms)


def test_unknown_names_are_refused(study):
    with pytest.raises(ValueError, match="Expected one of"):
        study.get("nothing")
