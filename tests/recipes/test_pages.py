"""Every table and figure of a recipe is that of its records."""

import re

import pytest

from keras_lbreg.comparison.statistics import Stat, finals
from recipes.__main__ import NAMES, load
from recipes.gradient_mix_2023.configuration import RATES, TUNED, rate_name
from recipes.paper import Measurement
from recipes.tables import render_readme
from tests.recipes import RECIPES, recorded

pytestmark = recorded

LARGEST_FILE = 1_000_000


@pytest.fixture(params=NAMES)
def paper(request):
    return load(request.param)


def readme(paper):
    return (paper.folder / "README.md").read_text("utf-8")


def test_tables_are_those_of_the_records(paper):
    assert render_readme(paper) == readme(paper), (
        f"run `python -m recipes {paper.name} tables`"
    )
    page = (RECIPES / "README.md").read_text("utf-8")
    assert f"({paper.name}/README.md)" in page


def test_figures_are_those_that_can_be_drawn(paper):
    text = readme(paper)
    drawn = {n for n, draw in paper.figures.items() if draw(paper) is not None}
    assert drawn == set(re.findall(r"\(figures/([\w.]+)\)", text))
    folder = paper.folder / "figures"
    assert drawn == {path.name for path in folder.iterdir()}


def test_commands_of_the_page_exist(paper):
    text = readme(paper)
    commands = re.findall(rf"-m recipes {paper.name} (\w+)([ \w-]*)", text)
    assert {"run", "tables"} <= {command for command, _ in commands}
    for command, words in commands:
        assert command in ("run", "tables", "figures", "list")
        for name in words.partition("--")[0].split():
            paper.get(name)
    with pytest.raises(ValueError, match="Expected one of"):
        paper.get("nothing")


def test_records_are_small_whole_and_of_the_configuration(paper):
    parts = (*paper.comparisons, *paper.measurements)
    assert len({part.name for part in parts}) == len(parts)
    known = set()
    for part in parts:
        assert part.name.isidentifier()
        if isinstance(part, Measurement):
            known.add(paper.measurement_path(part.name))
            continue
        for results in paper.records(part.name):
            known.add(results.path)
            assert results.runs
            assert set(results.arm_names) <= set(part.all_arms())
            config = results.manifest["config"]
            size = part.batch_size or part.recipe.batch_size
            assert config["batch_size"] == size
            assert config["holdout"] == part.holdout
    for path in (paper.folder / "results").iterdir():
        assert path in known
        assert path.stat().st_size < LARGEST_FILE


@pytest.mark.parametrize("optimizer", RATES)
def test_the_tuned_rate_is_the_best_of_the_recorded_ones(optimizer):
    results = load("gradient_mix_2023").results(f"{optimizer}_rate")
    means = {
        rate: Stat.of(finals(results, rate_name(rate)).values()).mean
        for rate in RATES[optimizer]
    }
    assert max(means, key=means.get) == TUNED[optimizer]
    # With the best at the end of the grid, there might be a better one.
    assert TUNED[optimizer] not in (RATES[optimizer][0], RATES[optimizer][-1])
