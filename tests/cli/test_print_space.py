"""The space of a search, as it is printed and documented."""

import io
import pathlib

import keras_tuner
import pytest
import rich.console

from keras_lbreg.cli.print_space import COLUMNS, print_space, space_rows
from keras_lbreg.data import load_dataset
from keras_lbreg.experiments.recipes import recipe_for
from keras_lbreg.tuning import SearchSpace

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "tuning.md"


def space_of(batch_sizes, **arguments):
    recipe = recipe_for("digits")
    space = SearchSpace(
        batch_sizes,
        recipe.small_batch_size,
        dreg_layer=recipe.dreg_layer,
        **arguments,
    )
    hp = keras_tuner.HyperParameters()
    space.declare(hp, recipe.network(load_dataset("digits")))
    return hp.get_config()["space"]


@pytest.fixture(scope="module")
def default_space():
    return space_of([recipe_for("digits").batch_size])


def test_the_page_has_the_table_of_the_register(default_space):
    rows = [(f"`{name}`", *rest) for name, *rest in space_rows(default_space)]
    lines = [
        "".join(f"| {cell} " if cell else "|  " for cell in row) + "|"
        for row in (COLUMNS, ("---",) * len(COLUMNS), *rows)
    ]
    assert "\n".join(lines) + "\n\n" in PAGE.read_text("utf-8")


def test_conditions_are_named(default_space):
    conditions = {row[0]: row[2] for row in space_rows(default_space)}
    assert conditions["dreg"] == ""
    assert conditions["dreg.weight"] == "dreg is on"
    assert conditions["group_noise"] == "gradient_mix is off"
    assert conditions["group_noise.groups"] == "group_noise is on"


def test_every_kind_of_value_is_printed():
    space = space_of(
        [256, 512],
        techniques=["dreg"],
        always=["lr_scaling"],
        ranges={"dreg": {"layer": ["[dense]"]}},
        learning_rate_factor=None,
    )
    console = rich.console.Console(file=io.StringIO(), width=100)
    print_space(space, console)
    text = console.file.getvalue()
    for line in (
        "batch_size 256, 512",
        "dreg on, off",
        "dreg.weight 0.001 to 1, log dreg is on",
        # Not taken for a colour.
        "dreg.layer [dense] dreg is on",
        "lr_scaling.warmup_epochs 0 to 5",
    ):
        assert line in " ".join(text.split())
    assert "learning_rate_factor" not in text
