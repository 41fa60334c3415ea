import pytest

from keras_lbreg.data import load_dataset
from keras_lbreg.experiments.recipes import OTHERS, RECIPES, recipe_for
from keras_lbreg.techniques import get


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_sound(name):
    recipe = recipe_for(name)
    assert recipe is RECIPES[name]
    assert recipe.small_batch_size < recipe.batch_size
    fractions = [fraction for fraction, _ in recipe.milestones]
    assert fractions == sorted(fractions)
    for technique, values in recipe.hyperparameters.items():
        get(technique).hyperparameters(values)
    ghosts = {
        **get("ghost_batch_norm").defaults,
        **recipe.hyperparameters.get("ghost_batch_norm", {}),
    }
    assert ghosts["ghost_batch_size"] == recipe.small_batch_size


def test_unknown_datasets_get_a_network_that_fits():
    assert recipe_for("never_heard_of") is OTHERS
    model = OTHERS.network(load_dataset("digits"))
    assert model.output_shape == (None, 10)
    assert any("conv" in layer.name for layer in model.layers)
