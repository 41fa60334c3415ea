"""Every table and figure of a recipe is that of its recorded results."""

import pathlib
import re

import matplotlib
import pytest

from keras_lbreg.comparison.statistics import Stat, finals
from keras_lbreg.plot_style import (
    to_png,
)
from recipes.gradient_mix_2023.configuration import RATES, TUNED, number_name
from recipes.study.page import render_page
from recipes.study.study import FOLDER, Measurement
from tests.recipes.studies import STUDIES

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"
LARGEST_FILE = 1_000_000


@pytest.fixture(params=STUDIES, ids=lambda study: study.name)
def study(request):
    return request.param


def readme(study):
    return (study.folder / "README.md").read_text("utf-8")


def test_tables_are_those_of_the_results(study):
    assert render_page(study) == readme(study), (
        f"run `python -m recipes.{study.name} pages`"
    )
    page = (RECIPES / "README.md").read_text("utf-8")
    assert f"({study.name}/README.md)" in page


def test_figures_are_those_of_the_results(study):
    version = f"Matplotlib version{matplotlib.__version__}".encode()
    for name, draw in study.figures.items():
        figure = draw(study)
        file = study.folder / "figures" / name
        assert file.is_file() == (figure is not None)
        assert (f"(figures/{name})" in readme(study)) == file.is_file()
        # Another version draws the same otherwise.
        if figure is not None and version in file.read_bytes():
            assert to_png(figure) == file.read_bytes(), name


def test_commands_of_the_page_exist(study):
    # Not what stands for several names, as `fig{2,3}_batch_SIZE` does.
    pattern = rf"python -m recipes\.{study.name} run ([\w ]++)(?!\{{)"
    for words in re.findall(pattern, readme(study)):
        for name in words.split():
            assert name == "all" or name in study.names()


def test_names_are_unique_and_identifiers(study):
    assert len(set(study.names())) == len(study.names())
    assert all(name.isidentifier() for name in study.names())
    with pytest.raises(ValueError, match="Expected one of"):
        study.get("nothing")


def test_results_are_small_whole_and_of_the_configuration(study):
    for folder in (study.folder / "results").glob("*/"):
        name = FOLDER.fullmatch(folder.name)[1]
        part = study.get(name)
        for file in folder.rglob("*"):
            # A run may be going on; its backup is no result.
            if file.suffix != ".npz":
                assert file.stat().st_size < LARGEST_FILE
        if isinstance(part, Measurement):
            assert study.measured(name)["measured"]
            continue
        results = study.results(name)
        assert results.runs
        assert set(results.arm_names) <= {a.name for a in part.arm_objects()}
        config = results.manifest["config"]
        size = part.batch_size or part.recipe.batch_size
        assert config["batch_size"] == size
        assert config["holdout"] == part.holdout
        if results.manifest["schema"] == 1:
            for key, value in part.recipe.describe().items():
                # JSON's numbers and lists.
                known = config[key]
                assert known == value or list(known) == value, key


@pytest.mark.parametrize("optimizer", RATES)
def test_the_tuned_rate_is_the_best_of_the_recorded_ones(optimizer):
    [study] = [s for s in STUDIES if s.name == "gradient_mix_2023"]
    results = study.results(f"{optimizer}_rate")
    means = {
        rate: Stat.of(
            finals(results, f"rate_{number_name(rate)}").values()
        ).mean
        for rate in RATES[optimizer]
    }
    assert max(means, key=means.get) == TUNED[optimizer]
    # With the best at the end of the grid, there might be a better one.
    assert TUNED[optimizer] not in (RATES[optimizer][0], RATES[optimizer][-1])
