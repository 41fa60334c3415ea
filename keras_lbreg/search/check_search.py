"""Find the mistakes of a search before its first trial."""

import importlib.metadata

import keras_tuner

from keras_lbreg.experiments import Experiment, choose_strategy
from keras_lbreg.experiments.environment import environment
from keras_lbreg.experiments.load_data import load_data, recipe_of
from keras_lbreg.experiments.plan import make_plan
from keras_lbreg.experiments.workspace import describe_dataset


def check_search(search):
    """Load the data, make the model and try all techniques out.

    Starts the backend, and with it any GPU: `run_search` has a process of its
    own do it.

    Args:
        search: The `Search`.

    Returns:
        What the data, the recipe and the machine decide, for `search.json`:
        a dictionary of plain data.

    Raises:
        ValueError: The search has a mistake: a size, a technique, a
            hyperparameter or a layer that does not fit the model, the data or
            the devices.
        FileNotFoundError: The data is not there.

    Example:

    >>> check_search(Search("digits"))["resolved"]["batch_sizes"]
    [512]

    Reference: `keras_lbreg.tuning.SearchSpace.check`.
    """
    placement = choose_strategy(search.strategy, search.devices)
    experiment = trial_experiment(search)
    dataset = load_data(experiment)
    recipe = recipe_of(experiment, dataset)
    resolved = {
        "batch_sizes": list(search.batch_sizes or [recipe.batch_size]),
        "base_batch_size": search.small_batch_size or recipe.small_batch_size,
        "epochs": search.epochs or recipe.epochs,
        "samples": len(dataset.x_train),
        "replicas": placement.replicas,
        "dreg_layer": recipe.dreg_layer,
    }
    space = search.space(
        resolved["batch_sizes"],
        resolved["base_batch_size"],
        replicas=resolved["replicas"],
        dreg_layer=resolved["dreg_layer"],
    )
    for size in resolved["batch_sizes"]:
        plain = trial_experiment(search, batch_size=size)
        make_plan(plain, "large_batch", dataset, placement)
    model = recipe.build_network(dataset)
    space.check(model, resolved["samples"])
    hp = keras_tuner.HyperParameters()
    space.declare(hp, model)
    here = environment()
    version = importlib.metadata.version("keras-tuner")
    return {
        **here,
        "versions": {**here["versions"], "keras_tuner": version},
        "dataset": describe_dataset(dataset),
        "resolved": resolved,
        "space": hp.get_config()["space"],
    }


def trial_experiment(search, **settings):
    """The `Experiment` that a trial is, with further settings."""
    return Experiment(
        search.dataset,
        small_batch_size=search.small_batch_size,
        epochs=search.epochs,
        data_dir=search.data_dir,
        holdout=search.holdout,
        strategy=search.strategy,
        devices=search.devices,
        tensorboard=False,
        **settings,
    )
