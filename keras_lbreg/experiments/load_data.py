"""The data of an experiment, as its runs see it."""

from keras_lbreg.data.hold_out import hold_out
from keras_lbreg.data.load_dataset import load_dataset
from keras_lbreg.experiments.recipes import recipe_for


def recipe_of(experiment, dataset):
    """The recipe of an experiment: its own, or that of the dataset."""
    return experiment.recipe or recipe_for(dataset.name)


def load_data(experiment):
    """Load, divide and prepare the dataset of an experiment.

    Args:
        experiment: The `Experiment`.

    Returns:
        A `Dataset`.

    Raises:
        ValueError: The data is not there, or does not fit the recipe.

    Example:

    >>> load_data(Experiment("digits")).input_shape
    (8, 8, 1)

    Reference: `Recipe.prepare`.
    """
    recipe = experiment.recipe or recipe_for(experiment.name)
    dataset = load_dataset(
        experiment.dataset, experiment.data_dir, recipe.image_size
    )
    if experiment.holdout:
        dataset = hold_out(dataset, experiment.holdout)
    return recipe_of(experiment, dataset).prepare(dataset)
